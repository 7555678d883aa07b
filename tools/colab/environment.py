"""Build an environment with the packages of Colab's image, and look at what is in it."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tools.colab.image import IMAGE, Image, load, normal

CPU_INDEX = "https://download.pytorch.org/whl/cpu"
STAMP = "image.sha256"
LIST = (
    "import importlib.metadata as m, json; "
    "print(json.dumps([[d.metadata['Name'], d.version] for d in m.distributions()]))"
)


class NoEnvironmentError(Exception):
    """The environment cannot be built; the message says why."""


def version_of(python: str) -> str | None:
    """The version of an interpreter as in ``3.13``, or None if it does not start."""
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    except OSError:
        return None
    return done.stdout.strip() or None


def interpreter(wanted: str, named: str | None = None) -> str:
    """The Python to build with: the named one, that of the image's version, or this one.

    Raises:
        NoEnvironmentError: the named one does not start.
    """
    if named and version_of(named) is None:
        raise NoEnvironmentError(f"{named} is no Python that starts")
    found = named or shutil.which(f"python{wanted}")
    if found is None or version_of(found) is None:
        found = sys.executable
    version = version_of(found)
    if version != wanted:
        print(f"Colab has Python {wanted}. It was not found here, so this is {version}.")
        print("Name one, as in: make colab COLAB_PYTHON=/path/to/python" + wanted)
    return found


@dataclass(frozen=True)
class Environment:
    """A virtual environment.

    Attributes:
        folder: Where it is.
    """

    folder: Path

    @property
    def python(self) -> str:
        """Its interpreter."""
        return str(self.folder / "bin" / "python")

    def pip(self, *arguments: str, show: bool = False) -> subprocess.CompletedProcess[str]:
        """Run its pip."""
        command = [self.python, "-m", "pip", "--disable-pip-version-check", *arguments]
        return subprocess.run(command, capture_output=not show, text=True, check=False)

    def packages(self) -> dict[str, str]:
        """Versions by name of everything that is installed."""
        done = subprocess.run(
            [self.python, "-c", LIST], capture_output=True, text=True, check=True, cwd="/"
        )
        return {normal(name): version for name, version in json.loads(done.stdout)}

    def complaints(self) -> set[str]:
        """What ``pip check`` finds, line by line; nothing if all is well."""
        done = self.pip("check")
        return set(done.stdout.splitlines()) if done.returncode else set()


def stamp(python: str) -> str:
    """What the environment is made of: the pins and the interpreter."""
    return hashlib.sha256(IMAGE.read_bytes() + python.encode()).hexdigest()


def _torch(environment: Environment, image: Image) -> None:
    """PyTorch's own index has a build without CUDA; the package index has one with it."""
    wanted = f"torch=={image.packages['torch']}"
    print(f"{wanted} for the CPU", flush=True)
    small = ("--no-deps", "--retries", "0", "--timeout", "15", "--index-url", CPU_INDEX)
    if environment.pip("install", *small, wanted).returncode:
        print(f"{CPU_INDEX} cannot be reached, so torch comes from the package index, for Linux")
        print("with the libraries of CUDA: about 2.5 GB to fetch, 5 GB on the disk.", flush=True)


def _install(environment: Environment, image: Image) -> None:
    tools = [f"{name}=={image.packages[name]}" for name in ("pip", "setuptools", "wheel")]
    environment.pip("install", "--quiet", *tools)
    _torch(environment, image)
    print(f"Installing the {len(image.packages)} packages of {IMAGE.name}", flush=True)
    lines = ("--progress-bar", "off", "--quiet", "--requirement", str(IMAGE))
    if environment.pip("install", *lines, show=True).returncode:
        raise NoEnvironmentError("The packages could not be installed; see the message above.")


def build(folder: Path, named: str | None = None) -> Environment:
    """The environment of Colab's image, made anew only when the pins or the Python changed.

    Args:
        folder: Where it is to be.
        named: An interpreter, in place of the one that is looked for.

    Raises:
        NoEnvironmentError: something could not be installed.
    """
    image = load()
    python = interpreter(image.python, named)
    environment, record = Environment(folder), folder / STAMP
    if record.is_file() and record.read_text(encoding="utf-8") == stamp(python):
        return environment
    print(f"Building an environment as Colab's was on {image.read}, in {folder}", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    if subprocess.run([python, "-m", "venv", str(folder)], check=False).returncode:
        raise NoEnvironmentError(f"{python} cannot make environments")
    _install(environment, image)
    record.write_text(stamp(python), encoding="utf-8")
    return environment
