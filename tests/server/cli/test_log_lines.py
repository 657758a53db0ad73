"""The server's log: whatever producers, apps and Redis put into a record, it stays one printable line."""

from __future__ import annotations

import json
import logging
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextmq_handler.protocol.outcomes import Completed, Failed
from nextmq_server.cli.log_lines import JSONFormatter, OneLineFormatter, log_delivery
from nextmq_server.dispatch.reports import Report

FORMATTER = OneLineFormatter("%(levelname)s %(message)s")
UNTRUSTED = [
    "a\nERROR queue emails: everything is lost",
    "a\r\nb",
    "\x1b[2J\x1b[31m",
    "a\x00b",
    "\u2028b",
    "\x85b",
    "\u202eabc",
    "a\tb",
    "\udcff",
    "\x07",
]


def record_of(text: object, exc: BaseException | None = None) -> logging.LogRecord:
    info = None if exc is None else (type(exc), exc, exc.__traceback__)
    return logging.LogRecord("nextmq_server", logging.ERROR, "f", 1, "queue %s job %s", ("q", text), info)


@pytest.mark.parametrize("text", UNTRUSTED, ids=ascii)
def test_untrusted_text_stays_on_its_line(text: str) -> None:
    assert FORMATTER.format(record_of(text)).isprintable()


@pytest.mark.parametrize("text", UNTRUSTED, ids=ascii)
def test_untrusted_text_of_an_exception_stays_on_its_line(text: str) -> None:
    assert FORMATTER.format(record_of(ValueError(text))).isprintable()


@given(text=st.text(st.characters()))
def test_every_text_stays_on_its_line(text: str) -> None:
    assert FORMATTER.format(record_of(text)).isprintable()


@pytest.mark.parametrize("text", UNTRUSTED, ids=ascii)
def test_a_traceback_has_lines_but_nothing_else_that_a_terminal_obeys(text: str) -> None:
    try:
        raise ValueError(text)
    except ValueError:
        exc = sys.exc_info()[1]
    lines = FORMATTER.format(record_of("1", exc)).split("\n")
    assert all(line.isprintable() for line in lines)


TRACE = "0af7651916cd43dd8448eb211c80319c"
COMPLETED = Report(
    "emails",
    "42",
    "welcome\n",
    2,
    "dlv_1",
    200,
    Completed("secret"),
    12.4,
    False,
    1_790_000_000_000,
    True,
    5,
    f"00-{TRACE}-b7ad6b7169203331-01",
)
MEMBERS = {
    "queue": "emails",
    "job": "42",
    "jobName": "welcome\n",
    "attempt": 2,
    "delivery": "dlv_1",
    "status": 200,
    "outcome": "completed",
    "ms": 12,
    "traceId": TRACE,
}
FAILED = COMPLETED._replace(verdict=Failed("ValueError", "secret"), status=None, traceparent="")


def lines_of(report: Report, formatter: logging.Formatter, caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the log's lines about a delivery."""
    with caplog.at_level(logging.INFO, "nextmq_server.deliveries"):
        log_delivery(report)
    return [formatter.format(record) for record in caplog.records]


@pytest.mark.parametrize(
    ("report", "members"),
    [
        (COMPLETED, MEMBERS),
        (FAILED, {**MEMBERS, "status": None, "outcome": "retrying", "traceId": None}),
        (FAILED._replace(is_final=True), {**MEMBERS, "status": None, "outcome": "failed", "traceId": None}),
    ],
)
def test_a_delivery_is_one_line_of_json_without_data(
    report: Report, members: dict[str, object], caplog: pytest.LogCaptureFixture
) -> None:
    [line] = lines_of(report, JSONFormatter(), caplog)
    assert line.isprintable()
    logged = json.loads(line)
    assert logged.pop("time")
    assert logged.pop("message")
    assert logged == {"level": "INFO", "logger": "nextmq_server.deliveries", **members}


def test_a_delivery_is_one_line_of_text_without_data(caplog: pytest.LogCaptureFixture) -> None:
    assert lines_of(COMPLETED, FORMATTER, caplog) == [
        "INFO queue emails job 42 (welcome ) attempt 2: completed, status 200, 12 ms, delivery dlv_1, "
        f"trace {TRACE}"
    ]


def test_a_delivery_is_not_logged_above_info(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "nextmq_server.deliveries"):
        log_delivery(COMPLETED)
    assert caplog.records == []


@pytest.mark.parametrize("text", UNTRUSTED, ids=ascii)
def test_a_record_with_an_exception_is_one_line_of_json(text: str) -> None:
    line = JSONFormatter().format(record_of(text, ValueError(text)))
    assert line.isprintable()
    assert json.loads(line)["message"].endswith(text)
