"""Generate nextmq_handler/client/_sync from _async; with --check, fail if it is stale."""

import subprocess
import sys
import tempfile
from pathlib import Path

import unasync

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "nextmq_handler/client/_async"
TARGET = ROOT / "nextmq_handler/client/_sync"
NAMES = {
    "AsyncFlowProducer": "FlowProducer",
    "AsyncJobCalls": "JobCalls",
    "AsyncJobNode": "JobNode",
    "AsyncJobSearch": "JobSearch",
    "AsyncQueue": "Queue",
    "AsyncQueueBase": "QueueBase",
    "AsyncQueueControl": "QueueControl",
    "AsyncQueueInspection": "QueueInspection",
    "AsyncQueueJob": "QueueJob",
    "AsyncResource": "Resource",
    "AsyncTriggers": "Triggers",
    "aiter_raw": "iter_raw",
    "async_answer": "answer",
    "async_bounded": "bounded",
    "async_http_client": "http_client",
    "async_sleep": "sleep",
}
HEADER = "# Generated from _async by scripts/generate_sync.py: change that, then run `make format`.\n"


def generate(target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    rule = unasync.Rule(str(SOURCE), str(target), additional_replacements=NAMES)
    unasync.unasync_files([str(path) for path in sorted(SOURCE.glob("*.py"))], [rule])
    for path in target.glob("*.py"):
        text = path.read_text()
        path.write_text(HEADER + text if text else text)
    subprocess.run(
        [sys.executable, "-m", "ruff", "format", "--quiet", "--isolated", "--line-length=115", str(target)],
        check=True,
    )


def main() -> None:
    source = "".join(path.read_text() for path in SOURCE.glob("*.py"))
    unused = [name for name in NAMES if name not in source]
    if unused:
        sys.exit(f"scripts/generate_sync.py renames what no longer exists: {', '.join(unused)}")
    if "--check" not in sys.argv:
        for path in TARGET.glob("*.py"):
            path.unlink()
        generate(TARGET)
        return
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder)
        generate(fresh)
        names = {path.name for path in (*fresh.glob("*.py"), *TARGET.glob("*.py"))}
        stale = [
            name
            for name in sorted(names)
            if not ((fresh / name).exists() and (TARGET / name).exists())
            or (fresh / name).read_bytes() != (TARGET / name).read_bytes()
        ]
    if stale:
        sys.exit(f"nextmq_handler/client/_sync is stale ({', '.join(stale)}): run `make format` and commit")
    print("generated code is fresh")


main()
