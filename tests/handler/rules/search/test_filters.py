"""The grammar of filters: what parses, what it means, and where a mistake is."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nextmq_handler.rules.search.filters import MAX_FILTER, MAX_TERMS, FilterError, parse_filter, term
from nextmq_handler.rules.search.matching import SearchedJob, matches

NOW = 1_800_000_000_000
JOB = SearchedJob(
    queue="emails",
    id="42",
    state="failed",
    name="welcome-mail",
    data='{"user":{"id":42,"tags":["a","B c"],"name":"J\\u00fcrgen"},"ok":true,"text":"say \\"hi\\""}',
    error="HTTPError: 502 Bad Gateway",
    status=502,
    attempts=3,
    time=NOW - 3_600_000,
)
pieces = st.sampled_from(
    [*'ab:"*\\ .>2hstaé', "state:", "data.", "failed", "since:", "status:>", "name:", "\ud800", "\n", '"x"']
)
pieces_of_text = st.sampled_from('ab:"*\\ .é\n') | st.characters(codec="utf-8")
texts = st.text() | st.lists(pieces, max_size=14).map("".join)


@given(texts)
@settings(max_examples=500)
def test_any_text_is_a_filter_that_prints_to_itself_or_an_error_with_a_place_in_it(text: str) -> None:
    try:
        parsed = parse_filter(text)
    except FilterError as error:
        place = error.position
    else:
        assert parse_filter(str(parsed)) == parsed
        assert isinstance(matches(parsed, JOB, NOW), bool)
        place = 0
    assert 0 <= place <= len(text)


@given(
    st.sampled_from(["name", "error", "data", "queue", "data.user.id", "id"]), st.text(pieces_of_text, min_size=1)
)
def test_a_term_made_of_any_value_looks_for_that_value(field: str, value: str) -> None:
    [made] = parse_filter(term(field, value)).terms
    assert (made.field, made.value) == (field, value)
    assert made.fragments == [value] or field in ("error", "data", "id")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "id:42 queue:emails state:failed",
        "queue:e*ls name:welcome*",
        "name:WELCOME-MAIL",
        "502",
        "welcome",
        '"bad gateway"',
        "jürgen",
        'data:"J\u00fcrgen"',
        '"say \\"hi\\""',
        "data.user.id:42 data.ok:true data.user.tags.1:b*",
        "data.user.name:jürgen",
        "error:httperror status:502 status:>=500 attempts:>2 attempts:<=3",
        "since:2h until:30m",
        f"since:{NOW - 3_600_001} until:2027-01-15T23:00",
    ],
)
def test_the_job_matches(text: str) -> None:
    assert matches(parse_filter(text), JOB, NOW)


@pytest.mark.parametrize(
    "text",
    [
        *("id:4", "id:420", "queue:Emails", "queue:email", "state:completed", "name:welcome", 'name:"welcome*"'),
        *("nothing", "data:502", "error:welcome", "data.user:42", "data.user.id:4", "data.user.tags.2:b"),
        *(
            "data.user.id.x:42",
            "status:<502",
            "attempts:2",
            "attempts:>3",
            "since:30m",
            "until:2h",
            "failed emails",
        ),
    ],
)
def test_the_job_does_not_match(text: str) -> None:
    assert not matches(parse_filter(text), JOB, NOW)


@pytest.mark.parametrize(
    ("text", "position", "part", "hint"),
    [
        ("a stat:failed", 2, "stat:", 'did you mean "state:"?'),
        ("state:fail", 0, "state:fail", 'did you mean "failed"?'),
        ("state:nowhere", 0, "state:nowhere", "the states are waiting, active"),
        ("x http://y", 2, "http:", "Put quotes around it"),
        ("attempts:many", 0, "attempts:many", "attempts:>=3"),
        ('status:"502"', 0, 'status:"502"', "status:3"),
        ("since:yesterday", 0, "since:yesterday", "since:2h"),
        ("since:99999w", 0, "since:99999w", "ten years"),
        ("until:2026-13-01", 0, "until:2026-13-01", "until:30m"),
        ('a "b c', 2, '"b c', "not closed"),
        ('"a"b', 3, "b", "space after the closing quote"),
        ('a"b', 1, 'a"b', "put quotes around all of it"),
        ('""', 0, '""', "is empty"),
        ("error:", 0, "error:", "write what to look for"),
        ("data..x:1", 0, "data..x:", "data.NAME.NAME"),
        ("name.x:1", 0, "name.x:", "is not a field"),
        ("x " * (MAX_TERMS + 1), 2 * MAX_TERMS, "x ", "at most 20 terms"),
        ("x" * (MAX_FILTER + 1), MAX_FILTER, "x", "at most 2000 characters"),
        ("a \ud800", 2, "\ud800", "half a character"),
    ],
)
def test_a_mistake_is_told_with_its_place_and_what_to_write(
    text: str, position: int, part: str, hint: str
) -> None:
    with pytest.raises(FilterError) as caught:
        parse_filter(text)
    assert (caught.value.position, caught.value.part) == (position, part)
    assert hint in str(caught.value)
    assert str(caught.value).isprintable()
