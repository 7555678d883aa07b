# `make book` builds the book, `make test` runs every check. Both set up what they need first.
PYTHON ?= python3
VENV ?= .venv
RUN = $(VENV)/bin/python -m

.PHONY: book test serve notebooks colab bench experiments lowest env clean

book: env       ; @$(RUN) tools.build_book
test: env       ; @$(RUN) tools.check
serve: book     ; @$(RUN) tools.serve
notebooks: env  ; @$(RUN) tools.export_notebooks
bench: env      ; @for file in benchmarks/*.py; do echo "$$file"; $(VENV)/bin/python "$$file" || exit 1; done
colab: env      ; @$(RUN) tools.colab $(NAME) --python "$(COLAB_PYTHON)"
experiments: env ; @$(RUN) tools.experiments $(NAME)
lowest:         ; @$(PYTHON) tools/lowest.py
env:            ; @command -v $(PYTHON) >/dev/null || { echo "Python is missing: install Python 3.11 or newer, or name it, as in: make book PYTHON=/path/to/python3.11"; exit 1; }; $(PYTHON) tools/setup_env.py $(VENV)
clean:          ; rm -rf _build .pytest_cache .mypy_cache .ruff_cache .hypothesis
