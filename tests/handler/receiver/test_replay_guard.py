"""The replay guards, in memory and in a real Valkey: an id is let in once in its lifetime."""

import threading
import typing as t
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st
from redis.backoff import NoBackoff
from redis.retry import Retry

from nextmq_handler.receiver.replay import MemoryReplayGuard, RedisReplayGuard, ReplayGuard
from tests.support.valkey import connected, let_pass, running_valkey

LIFETIME = 600.0
THREADS = 16


class Backend(t.Protocol):
    guard: ReplayGuard

    def let_pass(self, seconds: float) -> None: ...
    def held(self) -> int: ...


class InMemory:
    """A guard in memory whose clock the test moves."""

    def __init__(self) -> None:
        self._now = 1000.0
        self._guard = MemoryReplayGuard(monotonic=lambda: self._now)
        self.guard: ReplayGuard = self._guard

    def let_pass(self, seconds: float) -> None:
        self._now += seconds

    def held(self) -> int:
        return len(self._guard._expires)


class InValkey:
    """A guard in a Valkey whose keys the test makes older."""

    def __init__(self, client: t.Any) -> None:
        self._client = client
        self.guard: ReplayGuard = RedisReplayGuard(client)

    def let_pass(self, seconds: float) -> None:
        let_pass(self._client, seconds)

    def held(self) -> int:
        return int(self._client.dbsize())


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with running_valkey(tmp_path_factory.mktemp("valkey")) as socket:
        yield socket


@pytest.fixture
def client(valkey: Path) -> Iterator[redis.Redis]:
    with connected(valkey) as client:
        yield client


@pytest.fixture(params=["memory", "redis"])
def backend(request: pytest.FixtureRequest) -> Backend:
    return InMemory() if request.param == "memory" else InValkey(request.getfixturevalue("client"))


def test_a_new_id_is_let_in(backend: Backend) -> None:
    assert backend.guard.claim("dlv_1", LIFETIME)


def test_an_id_is_let_in_once(backend: Backend) -> None:
    assert [backend.guard.claim("dlv_1", LIFETIME) for _ in range(3)] == [True, False, False]


def test_an_id_does_not_keep_another_out(backend: Backend) -> None:
    backend.guard.claim("dlv_1", LIFETIME)
    assert backend.guard.claim("dlv_2", LIFETIME)


def test_an_id_is_kept_out_while_its_lifetime_lasts(backend: Backend) -> None:
    backend.guard.claim("dlv_1", LIFETIME)
    backend.let_pass(LIFETIME / 2)
    assert not backend.guard.claim("dlv_1", LIFETIME)


def test_a_second_claim_does_not_lengthen_the_lifetime(backend: Backend) -> None:
    backend.guard.claim("dlv_1", LIFETIME)
    backend.let_pass(LIFETIME / 2)
    backend.guard.claim("dlv_1", LIFETIME)
    backend.let_pass(LIFETIME / 2)
    assert backend.guard.claim("dlv_1", LIFETIME)


def test_an_id_is_new_once_its_lifetime_is_over(backend: Backend) -> None:
    backend.guard.claim("dlv_1", LIFETIME)
    backend.let_pass(LIFETIME)
    assert [backend.guard.claim("dlv_1", LIFETIME) for _ in range(2)] == [True, False]


def test_ids_whose_lifetime_is_over_are_not_held(backend: Backend) -> None:
    for number in range(3):
        backend.guard.claim(f"dlv_{number}", LIFETIME)
    backend.let_pass(LIFETIME)
    backend.guard.claim("dlv_4", LIFETIME)
    assert backend.held() == 1


def test_ids_whose_lifetime_lasts_are_held(backend: Backend) -> None:
    backend.guard.claim("dlv_1", LIFETIME)
    backend.let_pass(LIFETIME / 2)
    backend.guard.claim("dlv_2", LIFETIME)
    assert backend.held() == 2


def test_of_many_claims_at_once_exactly_one_wins(backend: Backend) -> None:
    together = threading.Barrier(THREADS)

    def claim(_: int) -> bool:
        together.wait()
        return backend.guard.claim("dlv_1", LIFETIME)

    with ThreadPoolExecutor(THREADS) as pool:
        assert sorted(pool.map(claim, range(THREADS))) == [False] * (THREADS - 1) + [True]


def test_claims_of_many_ids_at_once_all_win(backend: Backend) -> None:
    together = threading.Barrier(THREADS)

    def claim(number: int) -> bool:
        together.wait()
        return backend.guard.claim(f"dlv_{number}", LIFETIME)

    with ThreadPoolExecutor(THREADS) as pool:
        assert all(pool.map(claim, range(THREADS)))


def test_processes_that_share_a_redis_share_the_ids(client: redis.Redis) -> None:
    assert [RedisReplayGuard(client).claim("dlv_1", LIFETIME) for _ in range(2)] == [True, False]


def test_guards_of_other_prefixes_do_not_share_the_ids(client: redis.Redis) -> None:
    assert [RedisReplayGuard(client, prefix=prefix).claim("dlv_1", LIFETIME) for prefix in "ab"] == [True, True]


def test_a_redis_holds_an_id_under_the_prefix(client: redis.Redis) -> None:
    RedisReplayGuard(client, prefix="shop:").claim("dlv_1", LIFETIME)
    assert client.keys() == [b"shop:dlv_1"]


def test_a_redis_that_is_not_there_is_redis_pys_error(tmp_path: Path) -> None:
    at_once = Retry(NoBackoff(), 0)
    with redis.Redis(unix_socket_path=str(tmp_path / "nothing.sock"), retry=at_once) as nothing:
        guard = RedisReplayGuard(nothing)
        with pytest.raises(redis.ConnectionError):
            guard.claim("dlv_1", LIFETIME)


steps = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 700)), max_size=30)


@given(steps=steps)
def test_a_claim_wins_where_no_claim_won_within_its_lifetime(steps: list[tuple[str, int]]) -> None:
    backend = InMemory()
    now, won = 0, dict[str, int]()
    for delivery_id, pause in steps:
        now += pause
        backend.let_pass(pause)
        is_new = now - won.get(delivery_id, -1000) >= LIFETIME
        assert backend.guard.claim(delivery_id, LIFETIME) == is_new
        if is_new:
            won[delivery_id] = now
