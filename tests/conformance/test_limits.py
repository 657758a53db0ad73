"""The table of what cannot be sent where: it says why, and holds nothing that no case needs."""

from __future__ import annotations

import pytest

from nextmq_server.conformance.cases import Trait

from .limits import CANNOT, INTEGRATIONS, can_send
from .outcomes import ROWS
from .test_accepted import ACCEPTED
from .test_concurrency import TOGETHER
from .test_refusals import CASES

TRAITS = [case.traits for case in CASES] + [case.traits for case in ACCEPTED] + [case.traits for case in ROWS]
NEEDED = {TOGETHER}.union(*TRAITS)


@pytest.mark.parametrize("trait", CANNOT)
def test_what_an_integration_cannot_be_sent_is_needed_by_a_case(trait: Trait) -> None:
    assert trait in NEEDED


@pytest.mark.parametrize("trait", CANNOT)
def test_each_limit_names_an_integration_and_a_reason(trait: Trait) -> None:
    limits = CANNOT[trait]
    assert limits
    assert set(limits) <= set(INTEGRATIONS)
    assert all(limits.values())


@pytest.mark.parametrize("name", INTEGRATIONS)
def test_most_cases_can_be_sent_in_an_integration(name: str) -> None:
    sendable = [traits for traits in TRAITS if can_send(name, traits)]
    assert len(sendable) > 0.9 * len(TRAITS)
