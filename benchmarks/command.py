"""Measure what a person waits for: `python -m benchmarks.command`. Linux and macOS.

`nextmq status` of 1,001 queues on a real server, from the start of the process to its end, and what the imports
cost: the help loads typer, `status` loads the HTTP client too. CPU is that of the command alone. trio and h2 are
hidden, which the environment of this project has and an app's seldom has: httpx loads what it finds.
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

from nextmq_handler import Queue
from nextmq_server.testing.processes import start_dev_server

QUEUES = 1001
ROUNDS = 7
LIMIT = 0.3
"""How long, in s, `nextmq status` may take on a quiet machine."""

COMMAND = """
import sys
sys.modules["trio"] = sys.modules["h2"] = None
from nextmq_handler.cli.main import main
main(sys.argv[1:])
"""


class Cost(t.NamedTuple):
    """How long a process took, and its CPU, in s."""

    wall: float
    cpu: float


def cost_of(words: t.Sequence[str], env: t.Mapping[str, str]) -> Cost:
    """Return the median of some runs of a command."""
    costs: list[Cost] = []
    for _ in range(ROUNDS):
        before, start = os.times(), time.perf_counter()
        subprocess.run([sys.executable, "-c", COMMAND, *words], env=env, stdout=subprocess.DEVNULL, check=True)
        took, after = time.perf_counter() - start, os.times()
        cpu = after.children_user + after.children_system - before.children_user - before.children_system
        costs.append(Cost(took, cpu))
    return Cost(statistics.median(one.wall for one in costs), statistics.median(one.cpu for one in costs))


def main() -> None:
    """Print the table; say whether the limit is kept."""
    with tempfile.TemporaryDirectory() as folder:
        server, url = start_dev_server(Path(folder))
        try:
            env = {**os.environ, "NEXTMQ_URL": url}
            for number in range(QUEUES):
                Queue(f"queue{number}", url=url).add("welcome", number, delay=3600 if number % 10 else 0)
            print(f"{'command':<24}{'wall':>10}{'CPU':>10}   (median of {ROUNDS}, load {os.getloadavg()[0]:.1f})")
            for words in (["--version"], ["--help"], ["limits", "queue1"], ["status"], ["status", "--json"]):
                cost = cost_of(words, env)
                kept = "" if words != ["status"] else f"   at most {LIMIT} s: {cost.wall <= LIMIT}"
                print(f"nextmq {' '.join(words):<17}{cost.wall:>8.2f} s{cost.cpu:>8.2f} s{kept}")
        finally:
            server.stop()


if __name__ == "__main__":
    main()
