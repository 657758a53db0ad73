"""The same steps have the same results with Node's BullMQ and with our SDK and server."""

from __future__ import annotations

import json
import subprocess
import typing as t
from pathlib import Path

import pytest

from .chapters import CHAPTERS
from .conftest import Both
from .node import FOLDER, NODE
from .player import Player
from .sameness import comparable, differences
from .steps import Chapter

NODE_TIME = 100.0


@pytest.fixture(scope="module")
def told_by_node(both: Both, node_bullmq: Path) -> dict[str, t.Any]:
    """Play all chapters with Node's BullMQ."""
    told = [{"name": one.name, "queues": one.queues, "steps": one.steps} for one in CHAPTERS.values()]
    request = {"socket": str(both.redis_socket), "prefix": "node", "chapters": told}
    done = subprocess.run(
        [str(NODE), str(FOLDER / "scenario.mjs")],
        input=json.dumps(request),
        capture_output=True,
        check=False,
        text=True,
        timeout=NODE_TIME,
    )
    if done.returncode:
        pytest.fail(done.stderr[-2000:], pytrace=False)
    return t.cast("dict[str, t.Any]", json.loads(done.stdout))


@pytest.fixture(autouse=True)
def _no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep traces out of our jobs: other tests of this process may have set up OpenTelemetry."""
    monkeypatch.setattr("nextmq_handler.client._sync.resource.inject", dict)


@pytest.mark.parametrize("chapter", CHAPTERS.values(), ids=CHAPTERS)
def test_node_and_we_do_the_same(chapter: Chapter, both: Both, told_by_node: dict[str, t.Any]) -> None:
    theirs = told_by_node[chapter.name]
    assert isinstance(theirs, list), theirs

    ours = Player(chapter, both.app).play()

    of_node = comparable(theirs, chapter.name)
    of_ours = comparable(ours, chapter.name)

    found: list[str] = []
    known: set[str] = set()
    for number, (step, one, other) in enumerate(zip(chapter.steps, of_node, of_ours, strict=True)):
        differ = set(differences(one, other))
        of_result = {line for line in differ if line.startswith("result")}
        known -= of_result
        if step.get("differs"):
            assert of_result, f"step {number} {step} differs no more"
            differ -= of_result
        if differ - known:
            found.append("\n    ".join((f"step {number} {json.dumps(step)}:", *sorted(differ - known))))
        known = differ
    assert not found, "\n".join(found)
