"""A Chromium and a local server for the built book: for tests, pictures and `make serve`."""

from __future__ import annotations

import functools
import http.server
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

ARGUMENTS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
HOW_TO = (
    "No Chromium was found and none could be installed. Install one (on Debian and Ubuntu: "
    "sudo apt-get install chromium), or point the variable CHROMIUM at one."
)


def playwright_chromium() -> str | None:
    """The Chromium that Playwright installed, if it did."""
    with sync_playwright() as play:
        path = play.chromium.executable_path
    return path if Path(path).exists() else None


def find() -> str | None:
    """The browser's path: ``CHROMIUM``, then the system's, then Playwright's."""
    named = os.environ.get("CHROMIUM")
    if named:
        return shutil.which(named)
    system = next(filter(None, map(shutil.which, NAMES)), None)
    return system or playwright_chromium()


def install() -> None:
    """Try to install a browser: Playwright's own, then the system's package."""
    attempts = [[sys.executable, "-m", "playwright", "install", "chromium"]]
    if os.geteuid() == 0 and shutil.which("apt-get"):
        attempts.append(["apt-get", "install", "--yes", "--no-install-recommends", "chromium"])
    for command in attempts:
        print("No Chromium found; trying: " + " ".join(command), flush=True)
        if subprocess.run(command, check=False).returncode == 0 and find():
            return


def require() -> str:
    """The browser's path, after installing one where there is none.

    Raises:
        SystemExit: there is none and none can be installed; the message says what to do.
    """
    if not find() and not os.environ.get("CHROMIUM"):
        install()
    path = find()
    if path is None:
        raise SystemExit(HOW_TO)
    return path


class Quiet(http.server.SimpleHTTPRequestHandler):
    """A server of files that prints nothing."""

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def serve(folder: Path, port: int = 0, *, kind: type[Quiet] = Quiet) -> Iterator[str]:
    """Serve a folder on this machine alone; gives the address, with a slash at its end."""
    handler = functools.partial(kind, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
