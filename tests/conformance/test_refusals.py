"""Every refusal row of protocol section 2, in every integration: status and stable code; the reason is logged."""

from __future__ import annotations

import pytest

from . import refusals
from .integrations.integration import Integration
from .limits import DRIVERS
from .support import Case, Wire, deliver, delivery, every_integration, over_integrations

CASES = [
    *refusals.PATHS,
    *refusals.METHODS,
    *refusals.TYPES,
    *refusals.HEADERS,
    *refusals.TIMES,
    *refusals.SIZES,
    *refusals.STALLS,
    *refusals.SIGNATURES,
    *refusals.GUARD,
    *refusals.ORDER,
    *refusals.JSON_TEXTS,
    *refusals.MEMBERS,
    *refusals.QUEUES,
]
ONE_OF_EACH = list({case.status: case for case in CASES}.values())


@over_integrations(CASES)
def test_a_refusal_has_its_status_and_its_code_alone(integration: Integration, case: Case) -> None:
    answer = case.wire.send(integration)
    assert (answer.status, answer.json) == (case.status, {"error": case.code})


@over_integrations(ONE_OF_EACH)
def test_a_refusal_says_its_type_and_bears_no_signature(integration: Integration, case: Case) -> None:
    answer = case.wire.send(integration)
    own = {name for name, _ in answer.headers if name.startswith(b"x-nextmq-")}
    assert (answer.all(b"content-type"), own) == ([b"application/json"], set())


@over_integrations([case for case in CASES if case.reason is not None], integrations=DRIVERS)
def test_a_refusal_is_logged_with_its_queue_status_code_and_reason(
    place: Integration, case: Case, caplog: pytest.LogCaptureFixture
) -> None:
    case.wire.send(place)
    queue = case.wire.route.removeprefix("/queues/")
    assert [record.getMessage() for record in caplog.records if record.name == "nextmq_handler"] == [
        f"refused a delivery for queue {queue} with {case.status} {case.code}: {case.reason}"
    ]


@over_integrations(refusals.METHODS)
def test_a_refused_method_is_told_the_right_ones(integration: Integration, case: Case) -> None:
    answer = case.wire.send(integration)
    assert answer.all(b"allow") == [b"GET, HEAD" if case.wire.route == "/health" else b"POST"]


@every_integration()
def test_a_method_of_nobodys_is_not_allowed(integration: Integration) -> None:
    assert Wire(method="BREW").send(integration).status == 405


@every_integration()
def test_health_answers_ok(integration: Integration) -> None:
    answer = Wire(method="GET", route="/health").send(integration)
    assert (answer.status, answer.json) == (200, {"status": "ok"})


@every_integration()
def test_health_answers_head_without_a_body(integration: Integration) -> None:
    answer = Wire(method="HEAD", route="/health").send(integration)
    assert (answer.status, answer.body) == (200, b"")


@every_integration()
def test_a_queue_answers_head_without_a_body(integration: Integration) -> None:
    answer = Wire(method="HEAD").send(integration)
    assert (answer.status, answer.body) == (405, b"")


@every_integration()
def test_a_query_changes_nothing(integration: Integration) -> None:
    answer = Wire(method="GET", route="/health?query=1").send(integration)
    assert (answer.status, answer.json) == (200, {"status": "ok"})


@every_integration()
def test_a_delivery_that_passes_every_step_is_run(integration: Integration) -> None:
    assert deliver(integration, delivery(job={"data": 1})) == {"outcome": "completed", "returnValue": 1}
