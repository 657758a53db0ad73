"""Node and its bullmq, as PyPI and npm have them."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
NODE = Path(sys.prefix) / "bin" / "node"


def install_packages() -> None:
    """Install the packages of package.json beside the scripts here, once for all processes."""
    wanted, installed = FOLDER / "package.json", FOLDER / "node_modules" / ".package-lock.json"
    with wanted.open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not installed.exists() or installed.stat().st_mtime < wanted.stat().st_mtime:
            env = {**os.environ, "PATH": f"{NODE.parent}{os.pathsep}{os.environ['PATH']}"}
            subprocess.run([str(NODE.parent / "npm"), "install", "--prefix", str(FOLDER)], check=True, env=env)
