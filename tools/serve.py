"""Serve the built book on this machine: ``make serve``."""

from __future__ import annotations

import sys
import threading

from tools import browser
from tools.project import HTML

PORT = 8000


def main() -> int:
    """Serve until interrupted; take any free port where the usual one is in use."""
    if not (HTML / "index.html").exists():
        print("There is no built book: run `make book` first.", file=sys.stderr)
        return 1
    for port in (PORT, 0):
        try:
            with browser.serve(HTML, port) as address:
                print(f"The book is at {address} (stop with Ctrl+C)", flush=True)
                threading.Event().wait()
        except KeyboardInterrupt:
            return 0
        except OSError:
            print(f"Port {port} is in use.", flush=True)
    return 1


if __name__ == "__main__":
    sys.exit(main())
