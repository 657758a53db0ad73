"""The output of `nextmq dev`: the server goes on even if its reader has ended."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

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
