"""The apps that benchmarks deliver to, each in a process of its own."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import typing as t


@contextlib.contextmanager
def receiver(module: str) -> t.Generator[str]:
    """Run a module that serves an app and prints its port; yield the URL."""
    with subprocess.Popen([sys.executable, "-m", module], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{process.stdout.readline().split()[1]}"
        finally:
            process.kill()
