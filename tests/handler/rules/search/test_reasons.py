"""Failures with the same cause have the same reason."""

from __future__ import annotations

import pytest

from nextmq_handler.rules.search.reasons import MAX_REASON, normalised


@pytest.mark.parametrize(
    ("reason", "group"),
    [
        ("connect to 10.0.0.1:8080 failed after 30 s", "connect to … failed after … s"),
        ("user 'ada' not found", "user … not found"),
        ("HTTP 502 from https://x.example/a?b=1", "HTTP … from …"),
        ('KeyError: "x"', "KeyError: …"),
        ("no job 550e8400-e29b-41d4-a716-446655440000", "no job …"),
        ("hash deadbeef12 of ada@example.com\n  differs", "hash … of … differs"),
        ("can't do it, don't", "can't do it, don't"),
        ("", ""),
    ],
)
def test_what_differs_each_time_is_left_out(reason: str, group: str) -> None:
    assert normalised(reason) == group


@pytest.mark.parametrize("piece", ["a", "a:", "@", "'", '"', "a.b+", "1,", "deadbeef1", "x://", "…", " "])
def test_a_long_reason_is_cut_and_takes_little_time(piece: str) -> None:
    assert len(normalised(piece * 100_000)) <= MAX_REASON
