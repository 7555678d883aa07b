"""The command line: try a real model before reading about it, and train one of your own.

`minillm models`, `fetch`, `generate`, `chat`, `perplexity`, `inspect` and `attention` use a model;
`train`, `tokenizer train` and `data` make one. What a user got wrong is one line on standard error
and exit code 1; a wrong option is argparse's exit code 2; Ctrl-C is 130, as in every shell tool.
Book: appendix "Environment".
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence

from minillm.cli.parser import parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    _prepare_output()
    options = parser().parse_args(arguments)
    try:
        options.run(options)
    except BrokenPipeError:  # whoever read our output has seen enough, as `head` has
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - until the end
    except (ValueError, OSError, RuntimeError, ImportError) as error:
        sys.stderr.write(f"minillm: {error}\n")
        return 1
    except KeyboardInterrupt as stopped:
        sys.stderr.write(f"minillm: {stopped}\n" if stopped.args else "\n")
        return 130
    return 0


def _prepare_output() -> None:
    """Let no letter that the terminal lacks, and no closed output, end a command."""
    if sys.stdout is None:  # closed by the shell: `minillm models >&-`
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - until the end
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
