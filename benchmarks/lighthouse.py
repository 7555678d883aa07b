"""What Lighthouse says of four built pages: mobile, compressed as by a server, median of three.

Build the book first. Lighthouse itself is no part of the environment: npm fetches it into `_build`.
"""

from __future__ import annotations

import functools
import gzip
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

from machine import machine

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tools import browser  # noqa: E402 - the book's own tools are no installed package
from tools.project import HTML  # noqa: E402
from tools.setup_env import npm  # noqa: E402

OUT = Path(__file__).parent / "results" / "lighthouse.json"
VERSION, RUNS = "12.8.2", 3
PLACE = ROOT / "_build" / "lighthouse"
KINDS = ("performance", "accessibility", "best-practices", "seo")
PAGES = {
    "first page": "book/index.html",
    "a chapter with heatmaps": "book/attention/many-heads-masks-and-maps.html",
    "the longest chapter": "book/language-models/the-mathematics-you-need.html",
    "playground": "book/playground.html",
}
TEXTS = (".html", ".css", ".js", ".svg", ".json", ".xml")


@functools.cache
def packed(path: Path) -> bytes:
    """A file as a server sends it."""
    return gzip.compress(path.read_bytes(), 6)


class Compressing(browser.Quiet):
    """A server of files that compresses texts, as those do that publish the book."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:  # noqa: N802 - the name is that of http.server
        """Send a file."""
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            self.send_error(404)
            return
        text = path.suffix in TEXTS
        body = packed(path) if text else path.read_bytes()
        self.send_response(200)
        self.send_header("Content-Type", self.guess_type(str(path)))
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "max-age=600")
        if text:
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        self.wfile.write(body)


def lighthouse() -> list[str]:
    """The command that starts Lighthouse, after fetching it where it is not."""
    command, env = npm(Path(sys.prefix))
    script = PLACE / "node_modules" / "lighthouse" / "cli" / "index.js"
    if not script.exists():
        PLACE.mkdir(parents=True, exist_ok=True)
        wanted = ["install", "--no-audit", "--no-fund", "--prefix", str(PLACE)]
        subprocess.run([*command, *wanted, f"lighthouse@{VERSION}"], env=env, check=True)
    return [command[0], str(script)]


def scores(command: list[str], address: str) -> dict[str, float]:
    """One run: scores from 0 to 100, the shift of the layout, and the kilobytes that came."""
    settings = ["--output=json", "--quiet", f"--only-categories={','.join(KINDS)}"]
    flags = f"--chrome-flags={' '.join(browser.ARGUMENTS)}"
    env = {**os.environ, "CHROME_PATH": browser.require()}
    done = subprocess.run(
        [*command, address, *settings, flags], env=env, check=True, capture_output=True, text=True
    )
    found = json.loads(done.stdout)
    audits = found["audits"]
    return {
        **{kind: round(100 * found["categories"][kind]["score"]) for kind in KINDS},
        "shift": round(audits["cumulative-layout-shift"]["numericValue"], 4),
        "kb": round(audits["total-byte-weight"]["numericValue"] / 1024),
    }


def main() -> None:
    """Measure the pages in turn, print a table, store it."""
    if not (HTML / "index.html").exists():
        raise SystemExit("There is no built book: run `make book` first.")
    command, result = lighthouse(), {}
    print(f"{'page':26}" + "".join(f"{kind:>16}" for kind in (*KINDS, "shift", "kb")))
    with browser.serve(HTML, kind=Compressing) as address:
        for name, page in PAGES.items():
            runs = [scores(command, address + page) for _ in range(RUNS)]
            result[name] = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
            print(f"{name:26}" + "".join(f"{v:16g}" for v in result[name].values()), flush=True)
    told = {"machine": machine(), "lighthouse": VERSION, "runs": RUNS, "pages": result}
    OUT.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
