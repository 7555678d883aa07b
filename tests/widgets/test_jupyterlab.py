"""An explorable in a real JupyterLab: the cell runs, the widget draws and answers the keyboard."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager

import nbformat
import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.slow
CELL = "from minillm import widgets\nwidgets.RotaryPairs()"
SECONDS = 60


@contextmanager
def jupyterlab(folder):
    """The address of a JupyterLab that serves a folder to this machine alone."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {
        **os.environ,
        **{f"JUPYTER_{kind}_DIR": str(folder / ".jupyter") for kind in ("CONFIG", "DATA")},
        "JUPYTER_RUNTIME_DIR": str(folder / ".runtime"),
        "JUPYTERLAB_SETTINGS_DIR": str(folder / ".settings"),
    }
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1"]
    command += [
        f"--ServerApp.port={port}",
        "--IdentityProvider.token=",
        "--ServerApp.port_retries=0",
    ]
    with (folder / "log.txt").open("w") as log:
        server = subprocess.Popen(command, cwd=folder, env=settings, stdout=log, stderr=log)
    address = f"http://127.0.0.1:{port}/"
    try:
        _wait(address, server, folder / "log.txt")
        yield address
    finally:
        server.terminate()
        server.wait(timeout=20)


def _wait(address, server, log):
    """Until the server answers, or an error with what it printed."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end and server.poll() is None:
        try:
            with urllib.request.urlopen(address + "api", timeout=2) as answer:
                assert "version" in json.load(answer)
                return
        except OSError:
            time.sleep(0.3)
    raise AssertionError(f"JupyterLab did not start:\n{log.read_text()[-2000:]}")


def test_an_explorable_works_in_jupyterlab(chromium, tmp_path):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL)])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(notebook, tmp_path / "try.ipynb")
    with jupyterlab(tmp_path) as address:
        page = chromium.new_page(viewport={"width": 1280, "height": 900})
        page.goto(f"{address}lab/tree/try.ipynb", timeout=1000 * SECONDS)
        page.get_by_text("| Idle").first.wait_for(timeout=1000 * SECONDS)  # the kernel is there
        page.locator(".jp-Notebook .cm-content").first.click()
        page.keyboard.press("Shift+Enter")
        view = page.locator(".jp-OutputArea .explorable").first
        view.wait_for(timeout=1000 * SECONDS)
        before = view.inner_text()
        view.get_by_role("slider").first.focus()
        page.keyboard.press("ArrowRight")
        expect(view).not_to_have_text(before)
        assert view.inner_text() != before
        page.close()
