"""The server's log: whatever producers, apps and Redis put into a record, it stays one printable line."""

from __future__ import annotations

import logging
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextmq_server.cli.console import OneLineFormatter

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
