"""The server keeps nothing of finished deliveries, however they ended."""

from __future__ import annotations

import typing as t

import pytest

from benchmarks.soak import Count, soaking

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
async def counts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Count, Count]:
    """Return what the idle server holds after 500 deliveries, and after 3,000 more."""
    async with soaking(tmp_path_factory.mktemp("soak")) as soak:
        return await soak.deliver(500), await soak.deliver(3500)


@pytest.mark.parametrize("held", ["redis_connections", "app_connections", "tasks", "objects"])
async def test_no_more_are_there_after_3000_deliveries_than_before(counts: tuple[Count, Count], held: str) -> None:
    before, after = (t.cast("dict[str, int]", count._asdict()) for count in counts)
    assert after["deliveries"] - before["deliveries"] >= 3000
    assert after[held] <= before[held]  # counts that are not flushed yet are there before only
