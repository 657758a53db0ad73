"""At and beyond the bounds of its values each call ends alike on the server and in LocalNextMQ."""

from __future__ import annotations

import typing as t

import pytest

from nextmq_handler import NextMQError, NextMQHTTPError, Queue
from nextmq_handler.testing import LocalNextMQ
from nextmq_server.testing.processes import start_dev_server

from .borderline import CALLS, Borderline, prepare

SHARE = 6
"""Every so many calls are in the short form of the test; another number than the values of a table have."""

NAMES = [*CALLS]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[str]:
    server, found = start_dev_server(tmp_path_factory.mktemp("server"))
    yield found
    server.stop()


def test_a_share_of_the_calls_ends_alike(url: str) -> None:
    assert differing(NAMES[::SHARE], url) == []


@pytest.mark.long
@pytest.mark.parametrize("share", range(1, SHARE))
def test_all_calls_end_alike(url: str, share: int) -> None:
    assert differing(NAMES[share::SHARE], url) == []


def differing(names: list[str], url: str) -> list[tuple[str, object, object]]:
    """Return the calls that end otherwise, with both ends."""
    ends = [
        (name, end_of(CALLS[name], Queue(f"q{NAMES.index(name)}", url=url)), _simulated(name)) for name in names
    ]
    return [end for end in ends if end[1] != end[2]]


def _simulated(name: str) -> object:
    with LocalNextMQ():
        return end_of(CALLS[name], Queue(f"q{NAMES.index(name)}"))


def end_of(call: Borderline, queue: Queue[t.Any, t.Any]) -> object:
    """Return how a call ends: well, refused by the server, or by the SDK."""
    prepare(queue)
    try:
        call(queue)
    except NextMQHTTPError as exc:
        return type(exc), exc.status, exc.code
    except (NextMQError, TypeError, ValueError) as exc:
        return type(exc), str(exc)
    return "well"
