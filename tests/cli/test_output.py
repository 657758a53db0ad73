"""Tables, counts and times as people say them, and how people type them."""

from __future__ import annotations

import pytest

from nextmq_handler.cli import output
from nextmq_handler.cli.failure import CommandFailed
from nextmq_handler.cli.filters import filter_of
from nextmq_handler.cli.output import count, duration, moment, table
from nextmq_handler.cli.spans import ms_of, rate_of
from nextmq_handler.rules.search.filters import parse_filter

NOW = 1_800_000_000_000


@pytest.fixture(autouse=True)
def _without_styles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")


@pytest.mark.parametrize(
    ("ms", "said"),
    [
        *(
            (0, "0 ms"),
            (999, "999 ms"),
            (1000, "1.0 s"),
            (59_940, "59.9 s"),
            (59_999, "1 min"),
            (360_000, "6 min"),
        ),
        *((3_599_999, "60 min"), (7_200_000, "2 h"), (86_399_999, "24 h"), (345_600_000, "4 d")),
    ],
)
def test_a_duration_is_said_in_the_unit_that_fits(ms: float, said: str) -> None:
    assert duration(ms) == said


@pytest.mark.parametrize(
    ("at", "said"), [(None, "-"), (NOW - 360_000, "6 min ago"), (NOW + 1000, "in 1.0 s"), (NOW, "0 ms ago")]
)
def test_a_moment_is_said_from_now(at: int | None, said: str) -> None:
    assert moment(at, NOW) == said


def test_a_count_has_its_noun_in_the_right_number() -> None:
    assert (count(1, "job"), count(2000, "job")) == ("1 job", "2,000 jobs")


def test_a_table_has_no_borders_and_aligns_its_columns() -> None:
    assert table(("queue", "jobs", "cause"), [["a", "7", "x"], ["long", "1,000", ("", "bad")]], right=(1,)) == [
        "QUEUE   JOBS  CAUSE",
        "a          7  x",
        "long   1,000",
    ]


def test_text_in_a_table_cannot_break_its_line_or_style_the_terminal() -> None:
    assert table(("a", "b"), [["x\ny", "\x1b[31mred\r\u202e"]])[1] == "x y   [31mred"


def test_on_a_terminal_the_last_column_is_cut_to_its_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "terminal_width", lambda: 40)
    assert len(table(("a", "b"), [["x", "y" * 100]])[1]) == 40


@pytest.mark.parametrize(("text", "ms"), [("500ms", 500), ("10s", 10_000), ("5m", 300_000), ("2h", 7_200_000)])
def test_a_time_is_typed_with_its_unit(text: str, ms: int) -> None:
    assert ms_of(text, "--delay") == ms


@pytest.mark.parametrize("text", ["", "10", "s", "-1s", "1.5h", "1 week", "9" * 20 + "s", "²s"])
def test_a_time_that_is_not_one_is_refused_with_the_option(text: str) -> None:
    with pytest.raises(CommandFailed, match="--delay takes a time such as 500ms"):
        ms_of(text, "--delay")


def test_a_rate_is_typed_as_jobs_and_a_time() -> None:
    assert rate_of("100/60s", "--rate") == (100, 60_000)


@pytest.mark.parametrize("text", ["a phrase", 'say "hi"', "back\\slash", "state:failed", "a*b", "502", ""])
def test_a_searched_text_stands_for_itself_in_the_filter(text: str) -> None:
    terms = parse_filter(filter_of(None, None, text, None, None)).terms
    assert [(term.field, term.value) for term in terms] == ([("text", text)] if text else [])
