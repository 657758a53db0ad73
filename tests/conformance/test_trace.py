"""A delivery's trace headers: what its processor runs in, in every integration whose app uses OpenTelemetry."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest

from .integrations.integration import HeaderList, Integration
from .support import QUEUES, delivery, every_integration, outcome_in, wire_of

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT: tuple[bytes, bytes] = (b"traceparent", f"00-{TRACE}-b7ad6b7169203331-01".encode())

both_queues = pytest.mark.parametrize("queue", QUEUES)


def seen(integration: Integration, queue: str, headers: HeaderList) -> t.Any:
    """Return what a processor sees of the trace."""
    wire = wire_of(delivery(queue=queue, job={"name": "trace"}))
    answer = dataclasses.replace(wire, headers=[*wire.headers, *headers]).send(integration)
    return outcome_in(answer)["returnValue"]


@both_queues
@every_integration()
def test_a_processor_runs_in_the_trace_of_its_delivery(integration: Integration, queue: str) -> None:
    headers = [PARENT, (b"tracestate", b"shop=1,other=2"), (b"baggage", b"tenant=acme,plan=pro")]
    assert seen(integration, queue, headers) == {
        "trace": TRACE,
        "state": {"shop": "1", "other": "2"},
        "baggage": {"tenant": "acme", "plan": "pro"},
    }


@both_queues
@every_integration()
def test_a_trace_ends_with_its_delivery(integration: Integration, queue: str) -> None:
    seen(integration, queue, [PARENT, (b"baggage", b"tenant=acme")])
    later = seen(integration, queue, [])
    assert (later["trace"] != TRACE, later["state"], later["baggage"]) == (True, {}, {})


@every_integration()
def test_a_malformed_traceparent_is_ignored(integration: Integration) -> None:
    assert seen(integration, "blocking", [(b"traceparent", PARENT[1] + b"-more")])["trace"] != TRACE
