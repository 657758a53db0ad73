"""Every refusal row of protocol section 2, in every home: status and stable code; the reason is logged."""

from __future__ import annotations

import pytest

from . import refusals
from .integrations.integration import Home
from .limits import DRIVERS
from .support import Case, Wire, deliver, delivery, every_home, over_homes

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


@over_homes(CASES)
def test_a_refusal_has_its_status_and_its_code_alone(home: Home, case: Case) -> None:
    answer = case.wire.send(home)
    assert (answer.status, answer.json) == (case.status, {"error": case.code})


@over_homes(ONE_OF_EACH)
def test_a_refusal_says_its_type_and_bears_no_signature(home: Home, case: Case) -> None:
    answer = case.wire.send(home)
    own = {name for name, _ in answer.headers if name.startswith(b"x-nextmq-")}
    assert (answer.all(b"content-type"), own) == ([b"application/json"], set())


@over_homes([case for case in CASES if case.reason is not None], homes=DRIVERS)
def test_a_refusal_is_logged_with_its_queue_status_code_and_reason(
    place: Home, case: Case, caplog: pytest.LogCaptureFixture
) -> None:
    case.wire.send(place)
    queue = case.wire.route.removeprefix("/queues/")
    assert [record.getMessage() for record in caplog.records if record.name == "nextmq_handler"] == [
        f"refused a delivery for queue {queue} with {case.status} {case.code}: {case.reason}"
    ]


@over_homes(refusals.METHODS)
def test_a_refused_method_is_told_the_right_ones(home: Home, case: Case) -> None:
    answer = case.wire.send(home)
    assert answer.all(b"allow") == [b"GET, HEAD" if case.wire.route == "/health" else b"POST"]


@every_home()
def test_a_method_of_nobodys_is_not_allowed(home: Home) -> None:
    assert Wire(method="BREW").send(home).status == 405


@every_home()
def test_health_answers_ok(home: Home) -> None:
    answer = Wire(method="GET", route="/health").send(home)
    assert (answer.status, answer.json) == (200, {"status": "ok"})


@every_home()
def test_health_answers_head_without_a_body(home: Home) -> None:
    answer = Wire(method="HEAD", route="/health").send(home)
    assert (answer.status, answer.body) == (200, b"")


@every_home()
def test_a_queue_answers_head_without_a_body(home: Home) -> None:
    answer = Wire(method="HEAD").send(home)
    assert (answer.status, answer.body) == (405, b"")


@every_home()
def test_a_query_changes_nothing(home: Home) -> None:
    answer = Wire(method="GET", route="/health?query=1").send(home)
    assert (answer.status, answer.json) == (200, {"status": "ok"})


@every_home()
def test_a_delivery_that_passes_every_step_is_run(home: Home) -> None:
    assert deliver(home, delivery(job={"data": 1})) == {"outcome": "completed", "returnValue": 1}
