"""Run `python -m MODULE ARGUMENTS` for each line on stdin, forked from a process that has imported `PRELOADED`.

So a part that was killed is back in milliseconds, however busy the machine is. Each line prints the process id,
and once that process has ended another line; what it prints itself goes to stderr.
"""

from __future__ import annotations

import importlib
import os
import runpy
import sys


def main(preloaded: str, module: str, *arguments: str) -> None:
    for name in preloaded.split(","):
        importlib.import_module(name)
    for _ in sys.stdin:
        pid = os.fork()
        if pid == 0:
            os.dup2(2, 1)
            sys.argv[1:] = arguments
            runpy.run_module(module, run_name="__main__", alter_sys=True)
            return
        print(pid, flush=True)
        os.waitpid(pid, 0)
        print("ended", flush=True)


main(*sys.argv[1:])
