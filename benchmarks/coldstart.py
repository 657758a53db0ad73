"""Measure what a cold start costs: `python -m benchmarks.coldstart`.

A fresh process imports a Lambda handler, answers one signed delivery of 1 KB with 200 and ends, as a ratio to
`python -c pass` of the same run. Each contender must refuse the same delivery with one byte changed.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
import typing as t
from pathlib import Path

from . import ours, peers
from .deliveries import APP_URL, MOUNT, PATH, SECRET, SIZES, Sample, delivery
from .integrations import lambda_event

ROUNDS = 21
GOAL = 2.8
FORBIDDEN = (
    "anyio",
    "asyncio",
    "dataclasses",
    "email",
    "httpx",
    "importlib.metadata",
    "inspect",
    "pydantic",
    "ssl",
    "starlette",
)

BARE = "python -c pass"
NEXTMQ = "nextmq_adapters.aws_lambda"
IMPORTS = {
    "hand-written": "from floor import handler",
    NEXTMQ: "from ours import handler",
    "Mangum + Starlette": "from mangum_starlette import handler",
    "Mangum + FastAPI": "from mangum_fastapi import handler",
    "Mangum + inngest": "from mangum_inngest import handler",
}
ROOT = Path(__file__).resolve().parent.parent
URL = f"nextmq://nmq_key_of_the_benchmarks:{SECRET}@queue.example/bench"


class Cost(t.NamedTuple):
    """Of one process, in s."""

    wall: float
    cpu: float


def main() -> None:
    fingerprint = ours.registered_fingerprint(URL)
    small = delivery(SIZES["1 KB"], fingerprint=fingerprint)
    codes = {BARE: "pass"}
    with tempfile.TemporaryDirectory() as cache:
        python = Python(Path(cache))
        for name, statement in IMPORTS.items():
            valid, forged = _codes(name, statement, small)
            python.run(name, forged)
            python.run(name, valid)  # it also fills the cache of compiled modules
            codes[name] = valid
        modules = python.modules(codes[NEXTMQ]) - python.modules("pass")
        costs: dict[str, list[Cost]] = {name: [] for name in codes}
        names = list(codes)
        for number in range(ROUNDS):
            start = number % len(names)
            for name in (*names[start:], *names[:start]):
                costs[name].append(python.run(name, codes[name]))
    show(costs)
    loaded = sorted(modules & set(FORBIDDEN))
    print(f"\n{NEXTMQ} imports {len(modules)} modules beyond bare Python; of those that it must not: ", end="")
    print(", ".join(loaded) or "none")
    print(" ".join(sorted(modules)))


def show(costs: t.Mapping[str, t.Sequence[Cost]]) -> None:
    bare = costs[BARE]
    print(f"{'fresh process to 200':<34}{'wall ms':>9}{'ratio':>8}{'CPU ms':>9}{'ratio':>8}{'goal':>8}")
    for name, found in costs.items():
        wall, cpu = (statistics.median(values) * 1000 for values in zip(*found, strict=True))
        wall_ratio = statistics.median(a.wall / b.wall for a, b in zip(found, bare, strict=True))
        cpu_ratio = statistics.median(a.cpu / b.cpu for a, b in zip(found, bare, strict=True))
        verdict = "" if name != NEXTMQ else f"{GOAL:>8.2f}  {'holds' if cpu_ratio <= GOAL else 'MISSED'}"
        print(f"  {name:<32}{wall:>9.1f}{wall_ratio:>8.2f}{cpu:>9.1f}{cpu_ratio:>8.2f}{verdict}")


class Python:
    """Fresh processes that find the contenders, and compiled modules in a cache of their own."""

    def __init__(self, cache: Path) -> None:
        self._command = [sys.executable, "-P", "-X", f"pycache_prefix={cache}", "-c"]
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        self._env = {
            **kept,
            "PYTHONPATH": os.pathsep.join(map(str, (ROOT / "benchmarks" / "cold", ROOT, ROOT / "adapters"))),
            "NEXTMQ_URL": URL,
            "NEXTMQ_APP_URL": APP_URL,
            "NEXTMQ_WEBHOOK_SECRETS": SECRET,
            "INNGEST_SIGNING_KEY": peers.INNGEST_SIGNING_KEY,
        }

    def run(self, name: str, code: str) -> Cost:
        """Run `code` in a fresh process and return its cost; end the benchmark if it fails."""
        start = time.perf_counter()
        pid = os.posix_spawn(self._command[0], [*self._command, code], self._env)
        _, status, usage = os.wait4(pid, 0)
        wall = time.perf_counter() - start
        if status:
            raise SystemExit(f"{name} failed (see above); nothing was measured")
        return Cost(wall, usage.ru_utime + usage.ru_stime)

    def modules(self, code: str) -> set[str]:
        """Return the modules that a process has loaded after it ran `code`."""
        command = [*self._command, f"{code}\nimport sys; print(*sys.modules)"]
        process = subprocess.run(command, env=self._env, capture_output=True, text=True, check=True)
        return set(process.stdout.split())


def _codes(name: str, statement: str, small: Sample) -> tuple[str, str]:
    """Return the code that succeeds if the contender answers 200, and the code that succeeds if it refuses."""
    path, query, sample = MOUNT + PATH, "", small
    if "inngest" in name:
        path, query, sample = peers.INNGEST, peers.INNGEST_QUERY, peers.inngest_sample(SIZES["1 KB"])
    valid, forged = (lambda_event(path, message, query) for message in sample)
    call = f"{statement}; status = handler({{event!r}}, None)['statusCode']; assert {{check}}, ({name!r}, status)"
    return call.format(event=valid, check="status == 200"), call.format(event=forged, check="400 <= status < 500")


if __name__ == "__main__":
    main()
