"""Progress leaves one line, samples and checkpoints come when they are due."""

import sys
from types import SimpleNamespace

import pytest

from minillm.callbacks import Checkpoint, Progress, SampleText, in_notebook
from minillm.history import Record


def records(n, val_every=2):
    for step in range(1, n + 1):
        yield Record(
            step=step,
            tokens=100 * step,
            loss=4.0 / step,
            lr=0.1,
            grad_norm=1.0,
            seconds=0.5 * step,
            val_loss=2.5 if step % val_every == 0 else None,
        )


TRAINER = SimpleNamespace(config=SimpleNamespace(steps=4))


def test_progress_in_a_terminal_is_one_bar(capsys):
    progress = Progress(every=0)
    for record in records(4):
        progress(TRAINER, record)
    shown = capsys.readouterr().err
    assert shown.count("\n") == 1
    assert shown.endswith("\n")
    last = shown.split("\r")[-1]
    assert "4/4" in last
    assert "loss 1.000, validation 2.500" in last


def test_progress_in_a_notebook_updates_one_output(monkeypatch, capsys):
    shown = []

    class Handle:
        def update(self, data, *, raw):
            assert raw
            shown.append(("update", data["text/plain"]))

    def display(data, *, raw, display_id):
        assert raw
        assert display_id
        shown.append(("display", data["text/plain"]))
        return Handle()

    fake = SimpleNamespace(get_ipython=lambda: SimpleNamespace(kernel=object()))
    monkeypatch.setitem(sys.modules, "IPython", fake)
    monkeypatch.setitem(sys.modules, "IPython.display", SimpleNamespace(display=display))
    assert in_notebook()
    progress = Progress(every=0)
    for record in records(4):
        progress(TRAINER, record)
    assert [kind for kind, _ in shown] == ["display", "update", "update", "update"]
    assert shown[-1][1].startswith("4/4 steps")
    assert ", ," not in shown[-1][1]
    assert shown[-1][1].endswith(", 200 tokens/s, loss 1.000, validation 2.500")
    assert "\n" not in "".join(text for _, text in shown)
    assert capsys.readouterr() == ("", "")


def test_progress_is_not_faster_than_asked(capsys):
    progress = Progress(every=1e9)
    for record in records(4):
        progress(TRAINER, record)
    shown = capsys.readouterr().err
    assert "4/4" in shown
    assert "2/4" not in shown
    assert "3/4" not in shown


def test_no_notebook_here():
    assert not in_notebook()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SampleText(None, "a", every=0), "every=0"),
        (lambda: SampleText(None, ""), "prompt=''"),
        (lambda: Checkpoint("run", every=0), "every=0"),
        (lambda: Checkpoint("run", every=1, keep=0), "keep=0"),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_old_checkpoints_of_a_longer_run_are_left_alone(tmp_path):
    (tmp_path / "step-00000900.pt").touch()
    trainer = SimpleNamespace(config=TRAINER.config, save=lambda path: path.touch())
    checkpoint = Checkpoint(tmp_path, every=1, keep=2)
    for record in records(4):
        checkpoint(trainer, record)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["step-00000003.pt", "step-00000004.pt", "step-00000900.pt"]
