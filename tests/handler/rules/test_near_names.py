"""The nearest name is found, in bounded work."""

from __future__ import annotations

import difflib

import pytest

from nextmq_handler.rules import near_names
from nextmq_handler.rules.near_names import COMPARED, nearest

NAMES = ["emails", "reports", "invoices", "image-resize", "sms", "webhooks", "Video.Encode"]
MEANT = [
    *(
        ("email", "emails"),
        ("Emails", "emails"),
        ("EMAILS", "emails"),
        ("emials", "emails"),
        ("emailss", "emails"),
    ),
    *(("mails", "emails"), ("e-mails", "emails"), ("report", "reports"), ("repotrs", "reports")),
    *(
        ("invoice", "invoices"),
        ("invioces", "invoices"),
        ("image_resize", "image-resize"),
        ("imageresize", "image-resize"),
    ),
    *(("SMS", "sms"), ("webhook", "webhooks"), ("web-hooks", "webhooks"), ("video.encode", "Video.Encode")),
    *(("video-encode", "Video.Encode"), ("zzz", None), ("", None), ("x" * 10_000, None)),
]


@pytest.mark.parametrize(("wanted", "found"), MEANT)
def test_the_name_that_was_meant_is_found(wanted: str, found: str | None) -> None:
    assert nearest(wanted, NAMES) == found


@pytest.mark.parametrize(("wanted", "found"), MEANT)
def test_it_is_found_among_thousands(wanted: str, found: str | None) -> None:
    assert nearest(wanted, [*(f"queue-{number:05}" for number in range(5000)), *NAMES]) == found


@pytest.mark.parametrize("count", [0, 1, COMPARED, 10 * COMPARED, 3000])
def test_few_names_are_compared_closely(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[int] = []

    def counted(word: str, names: list[str], **_: object) -> list[str]:
        compared.append(len(names))
        return []

    monkeypatch.setattr(difflib, "get_close_matches", counted)
    assert near_names.nearest("queue", [f"queue-{number}" for number in range(count)]) is None
    assert compared == [min(count, COMPARED)]
