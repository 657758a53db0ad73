"""Run the tests marked `versions` on each Python of this machine, and once with the lowest admitted dependencies.

Each environment is kept in .venv-versions, so that the next run only updates it. They run side by side.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import typing as t
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENTS = ROOT / ".venv-versions"
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
EXTRAS = "server,fastapi,flask,django,otel"
TESTS = "tests/conformance"
"""The folder of the marked tests: the others need packages that these environments do not have."""


class Environment(t.NamedTuple):
    """One set of versions to test with."""

    name: str
    python: str
    bounds: tuple[str, ...]
    """The options of `uv pip install` that choose the versions."""


def find_python(version: str) -> str | None:
    """Return a Python of this version, on the PATH or installed by pyenv; None if there is none that runs."""
    on_path = shutil.which(f"python{version}")
    pyenv = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
    for candidate in [on_path, *map(str, pyenv)]:
        if candidate and _tell_version(candidate) == version:
            return candidate
    return None


def find_environments() -> list[Environment]:
    """Return the lowest versions on the oldest Python, and the locked versions on each of the other Pythons."""
    found = {version: path for version in PYTHONS if (path := find_python(version))}
    if not found:
        sys.exit(f"no Python of {', '.join(PYTHONS)} is installed")
    oldest = min(found, key=PYTHONS.index)
    lowest = Environment(f"{oldest}-lowest", found[oldest], ("--resolution", "lowest-direct"))
    locked = ("--constraint", str(ROOT / "constraints.txt"))
    ours = ".".join(map(str, sys.version_info[:2]))  # `make test` has run everything on it
    return [lowest, *(Environment(name, path, locked) for name, path in found.items() if name != ours)]


def create(environment: Environment) -> Path:
    """Create or update the environment and return its Python."""
    folder = ENVIRONMENTS / environment.name
    python = folder / "bin" / "python"
    if not python.exists():
        _uv("venv", "--python", environment.python, str(folder))
    # The product first: the tools for testing then take the versions that are there.
    _uv("pip", "install", "--python", str(python), *environment.bounds, "--editable", f".[{EXTRAS}]")
    _uv("pip", "install", "--python", str(python), "--group", "versions")
    return python


def run(environment: Environment) -> bool:
    """Run the marked tests, print what they say at the end, and return whether they passed."""
    started = time.monotonic()
    python = create(environment)
    # A warning of an old dependency on a new Python is not this project's.
    command = [str(python), "-m", "pytest", TESTS, "-m", "versions", "-n", "0", "-q", "-W", "default"]
    done = subprocess.run(
        [*command, "--no-header", "-p", "no:cacheprovider"],
        cwd=ROOT,
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    passed = done.returncode == 0
    took = f"{'passed' if passed else 'failed'} in {time.monotonic() - started:.0f} s"
    print(f"{done.stdout}\n{environment.name}: {took}", flush=True)
    return passed


def _tell_version(python: str) -> str | None:
    code = "import sys, ensurepip; print('%d.%d' % sys.version_info[:2])"
    try:
        return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def _uv(*arguments: str) -> None:
    uv = Path(sys.executable).with_name("uv")
    environ = {**os.environ, "UV_LINK_MODE": "copy"}
    subprocess.run([str(uv), "--quiet", *arguments], cwd=ROOT, env=environ, check=True)


if __name__ == "__main__":
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(pool.map(run, find_environments()))
    sys.exit(0 if all(results) else 1)
