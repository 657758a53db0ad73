"""The output of `nextmq dev`: a line for each delivery, and a server that goes on even if its reader has ended."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from nextmq_handler.protocol.outcomes import Completed, Delayed, Failed, RateLimited, WaitingChildren
from nextmq_server.cli.console import print_delivery
from nextmq_server.dispatch.reports import Report
from nextmq_server.engine.verdicts import Hold, Verdict

SHOWN = {
    "completed": Completed({"sent": True}),
    "failed 12 ms Error: no such user": Failed("Error", "no such user"),
    "rateLimited 12 ms for 1500 ms": RateLimited(1500),
    "delayed 12 ms until 1790000000000": Delayed(1_790_000_000_000),
    "waitingChildren": WaitingChildren(),
    "held 12 ms 2.0 s: the app is down": Hold(2.0, "the app is down"),
}

SAY_ON = """
import sys, pathlib
from nextmq_server.cli import console
sys.stdin.readline()
for _ in range(3):
    console.say("a line")
pathlib.Path(sys.argv[1]).write_text("went on")
"""


def test_the_server_goes_on_when_nobody_reads_its_lines_any_more(tmp_path: Path) -> None:
    end = tmp_path / "end"
    command = [sys.executable, "-c", SAY_ON, str(end)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        server.stdout.close()
        server.stdin.write(b"\n")
        server.stdin.close()
        assert (server.wait(30), end.read_text()) == (0, "went on")


@pytest.mark.parametrize(("shown", "verdict"), SHOWN.items())
def test_a_delivery_is_shown_with_its_outcome(
    shown: str, verdict: Verdict, capsys: pytest.CaptureFixture[str]
) -> None:
    print_delivery(Report("emails", "1", "welcome", 1, "dlv_1", 200, verdict, 12.0, True, 0, True))
    assert shown in " ".join(capsys.readouterr().out.split())
