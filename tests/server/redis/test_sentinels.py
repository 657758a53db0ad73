"""What the Sentinels say: the newest configuration counts, a stale Sentinel is not believed, a switch is heard."""

from __future__ import annotations

import contextlib
import functools
import itertools
import typing as t

import pytest

from nextmq_server.redis import connection as connection_module
from nextmq_server.redis import primary, sentinels, silence
from nextmq_server.redis.address import Address
from nextmq_server.redis.sentinels import NoWord, Sentinels
from tests.support.failover import SENTINEL_PASSWORD, Pair, ask, by_sentinels

if t.TYPE_CHECKING:
    from ..conftest import WaitUntil

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_module, "MAX_RETRY_DELAY", 0.1)
    monkeypatch.setattr(primary, "PLACE_TIMEOUT", 0.5)
    monkeypatch.setattr(sentinels, "ANSWER_TIME", 0.5)
    monkeypatch.setattr(sentinels, "GRACE", 0.3)
    monkeypatch.setattr(silence, "LOOK_INTERVAL", 0.1)
    monkeypatch.setattr(silence, "SILENCE_LIMIT", 0.5)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Pair]:
    """Start a primary and a replica of it."""
    pair = Pair(tmp_path_factory.mktemp("pair"))
    pair.start()
    yield pair
    pair.stop()


@pytest.fixture(scope="module")
async def disagreeing(pair: Pair, wait_until: WaitUntil) -> dict[int, int]:
    """Start four Sentinels, each of which names another primary. Give their ports by the epoch of each."""
    named = {epoch: pair.start_sentinel(primary=port, epoch=epoch) for epoch, port in PLACES.items()}
    for port in named.values():
        await wait_until(functools.partial(answers, port))
    return named


# Nobody listens there: a Sentinel that finds a server out joins the others.
PLACES = {0: 1, 3: 2, 4: 3, 17: 4}


async def answers(port: int) -> bool:
    with contextlib.suppress(OSError):
        return bool(await ask(port, SENTINEL_PASSWORD, "SENTINEL", "MASTERS"))
    return False


def nothing(*_: object) -> None:
    """Do nothing."""


def listening(url: str) -> Sentinels:
    return Sentinels(Address(url), on_promotion=nothing, on_switch=nothing, on_return=nothing)


@pytest.mark.parametrize(
    "epochs",
    [order for size in (1, 2, 3, 4) for order in itertools.permutations(PLACES, size)],
    ids=lambda order: "-".join(map(str, order)),
)
async def test_of_sentinels_that_disagree_the_newest_counts(
    disagreeing: dict[int, int], epochs: tuple[int, ...]
) -> None:
    place = await listening(by_sentinels(*(disagreeing[epoch] for epoch in epochs))).primary()
    assert place.port == PLACES[max(epochs)]


async def test_a_stale_sentinel_is_not_believed_while_the_others_are_silent(
    pair: Pair, disagreeing: dict[int, int]
) -> None:
    asked = listening(by_sentinels(disagreeing[3], disagreeing[17]))
    await asked.primary()
    pair.pause(disagreeing[17])
    try:
        with pytest.raises(NoWord, match="which was the primary before the last failover"):
            await asked.primary()
    finally:
        pair.resume(disagreeing[17])


async def test_sentinels_that_were_set_up_anew_are_believed(disagreeing: dict[int, int]) -> None:
    asked = listening(by_sentinels(disagreeing[17]))
    await asked.primary()
    asked._address.places = Address(by_sentinels(disagreeing[3], disagreeing[0])).places
    assert (await asked.primary()).port == PLACES[3]
