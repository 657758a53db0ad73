"""The stores of idempotent results: in memory, in a real Valkey, in a SQLite file. One suite for all."""

import threading
import typing as t
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, inspect

from nextmq_handler.idempotency import (
    Busy,
    Finished,
    IdempotencyStore,
    MemoryStore,
    RedisStore,
    SQLAlchemyStore,
)
from tests.support.valkey import connected, let_pass, running_valkey

LEASE, KEEP = 600.0, 6000.0
THREADS = 16


class Backend(t.NamedTuple):
    """A store, how time passes for it, and how many keys it holds."""

    store: IdempotencyStore
    let_pass: t.Callable[[float], None]
    held: t.Callable[[], int]

    def begin(self, owner: str = "a", key: str = "k") -> Finished | Busy | None:
        return self.store.begin(key, owner, LEASE)

    def finish(self, owner: str = "a", result: str = "1") -> None:
        self.store.finish("k", owner, result, KEEP)

    def release(self, owner: str = "a") -> None:
        self.store.release("k", owner)


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self._now = 1000.0

    def __call__(self) -> float:
        return self._now

    def let_pass(self, seconds: float) -> None:
        self._now += seconds


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with running_valkey(tmp_path_factory.mktemp("valkey")) as socket:
        yield socket


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = create_engine(f"sqlite:///{tmp_path / 'app.db'}", pool_size=THREADS)
    yield engine
    engine.dispose()


@pytest.fixture(params=["memory", "redis", "redis that decodes", "sqlalchemy"])
def backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    if request.param == "memory":
        clock = Clock()
        memory = MemoryStore(monotonic=clock)
        yield Backend(memory, clock.let_pass, lambda: len(memory._entries))
    elif request.param == "sqlalchemy":
        clock = Clock()
        database = SQLAlchemyStore(request.getfixturevalue("engine"), clock=clock)
        database.create_table()
        yield Backend(database, clock.let_pass, lambda: rows(request.getfixturevalue("engine")))
    else:
        decodes = request.param == "redis that decodes"
        with connected(request.getfixturevalue("valkey"), decode_responses=decodes) as client:
            yield Backend(RedisStore(client), lambda seconds: let_pass(client, seconds), lambda: size(client))


def rows(engine: Engine) -> int:
    with engine.connect() as connection:
        return len(connection.exec_driver_sql("SELECT 1 FROM nextmq_idempotency").all())


def size(client: t.Any) -> int:
    return int(client.dbsize())


def test_a_new_key_is_the_first_runs(backend: Backend) -> None:
    assert backend.begin() is None


@pytest.mark.parametrize("owner", ["a", "b"])
def test_a_key_of_a_run_under_way_is_busy(owner: str, backend: Backend) -> None:
    backend.begin("a")
    assert isinstance(backend.begin(owner), Busy)


def test_a_busy_key_says_how_long_its_lease_lasts_at_most(backend: Backend) -> None:
    backend.begin("a")
    backend.let_pass(LEASE / 2)
    state = backend.begin("b")
    assert isinstance(state, Busy)
    assert 0 < state.retry_after <= LEASE / 2


def test_a_second_begin_does_not_lengthen_the_lease(backend: Backend) -> None:
    backend.begin("a")
    backend.let_pass(LEASE / 2)
    backend.begin("b")
    backend.let_pass(LEASE / 2)
    assert backend.begin("b") is None


def test_a_key_does_not_keep_another_busy(backend: Backend) -> None:
    backend.begin("a", "k")
    assert backend.begin("a", "l") is None


@pytest.mark.parametrize("result", ["null", "1", '"r"', '"f"', '{"a":["\\u00e4"]}', '"' + "x" * 100_000 + '"'])
def test_a_finished_key_gives_the_result(result: str, backend: Backend) -> None:
    backend.begin("a")
    backend.finish("a", result)
    assert backend.begin("b") == Finished(result)


def test_a_result_is_kept_beyond_the_lease(backend: Backend) -> None:
    backend.begin("a")
    backend.finish("a")
    backend.let_pass(LEASE * 2)
    assert backend.begin("b") == Finished("1")


def test_a_result_is_gone_once_its_time_is_over(backend: Backend) -> None:
    backend.begin("a")
    backend.finish("a")
    backend.let_pass(KEEP)
    assert backend.begin("b") is None


def test_a_released_key_is_the_next_runs(backend: Backend) -> None:
    backend.begin("a")
    backend.release("a")
    assert backend.begin("b") is None


def test_a_key_whose_lease_is_over_is_the_next_runs(backend: Backend) -> None:
    backend.begin("a")
    backend.let_pass(LEASE)
    assert backend.begin("b") is None


def taken_over(backend: Backend) -> Backend:
    """Let the lease of a expire, and begin b's run."""
    backend.begin("a")
    backend.let_pass(LEASE)
    backend.begin("b")
    return backend


def test_a_key_that_was_taken_over_is_busy_again(backend: Backend) -> None:
    assert isinstance(taken_over(backend).begin("c"), Busy)


def test_a_run_that_lost_its_key_does_not_finish_it(backend: Backend) -> None:
    taken_over(backend).finish("a", '"late"')
    assert isinstance(backend.begin("c"), Busy)


def test_a_run_that_lost_its_key_does_not_release_it(backend: Backend) -> None:
    taken_over(backend).release("a")
    assert isinstance(backend.begin("c"), Busy)


def test_a_run_that_took_a_key_over_finishes_it(backend: Backend) -> None:
    taken_over(backend).finish("b", '"mine"')
    assert backend.begin("c") == Finished('"mine"')


@pytest.mark.parametrize("owner", ["a", "b"])
def test_a_finished_key_is_not_finished_again(owner: str, backend: Backend) -> None:
    backend.begin("a")
    backend.finish("a", "1")
    backend.finish(owner, "2")
    assert backend.begin("c") == Finished("1")


@pytest.mark.parametrize("owner", ["a", "b"])
def test_a_finished_key_is_not_released(owner: str, backend: Backend) -> None:
    backend.begin("a")
    backend.finish("a")
    backend.release(owner)
    assert backend.begin("c") == Finished("1")


@pytest.mark.parametrize("step", ["finish", "release"])
def test_a_key_that_no_run_began_stays_free(step: str, backend: Backend) -> None:
    getattr(backend, step)("a")
    assert backend.begin("b") is None


def owners_of(backend: Backend) -> int:
    """How many of many threads that begin at once own the key afterwards."""
    together = threading.Barrier(THREADS)

    def begin(number: int) -> Finished | Busy | None:
        together.wait()
        return backend.begin(f"owner{number}")

    with ThreadPoolExecutor(THREADS) as pool:
        states = list(pool.map(begin, range(THREADS)))
    assert all(state is None or isinstance(state, Busy) for state in states)
    return states.count(None)


def test_of_many_that_begin_at_once_exactly_one_owns_the_key(backend: Backend) -> None:
    assert owners_of(backend) == 1


def test_of_many_that_take_over_at_once_exactly_one_owns_the_key(backend: Backend) -> None:
    backend.begin("a")
    backend.let_pass(LEASE)
    assert owners_of(backend) == 1


@pytest.mark.parametrize("backend", ["memory", "redis"], indirect=True)
def test_what_is_over_is_not_held(backend: Backend) -> None:
    for key in ("k", "l", "m"):
        backend.begin("a", key)
    backend.finish("a")
    backend.let_pass(KEEP)
    backend.begin("a", "n")
    assert backend.held() == 1


@pytest.mark.parametrize("backend", ["sqlalchemy"], indirect=True)
def test_a_database_is_rid_of_what_is_over_and_says_how_much_that_was(backend: Backend) -> None:
    for key in ("k", "l", "m"):
        backend.begin("a", key)
    backend.finish("a")
    backend.let_pass(LEASE)
    assert isinstance(backend.store, SQLAlchemyStore)
    assert (backend.store.delete_expired(), backend.held()) == (2, 1)


def test_a_database_has_the_table_that_was_named(engine: Engine) -> None:
    SQLAlchemyStore(engine, table="once").create_table()
    assert inspect(engine).get_table_names() == ["once"]


def test_a_table_that_is_there_is_left_as_it_is(engine: Engine) -> None:
    store = SQLAlchemyStore(engine)
    store.create_table()
    store.begin("k", "a", LEASE)
    store.create_table()
    assert isinstance(store.begin("k", "b", LEASE), Busy)


def test_a_redis_holds_a_key_under_the_prefix(valkey: Path) -> None:
    with connected(valkey) as client:
        RedisStore(client, prefix="shop:").begin("k", "a", LEASE)
        assert client.keys() == [b"shop:k"]


def test_a_key_of_redis_that_somebody_made_last_for_ever_is_busy(valkey: Path) -> None:
    with connected(valkey) as client:
        store = RedisStore(client)
        store.begin("k", "a", LEASE)
        client.persist("nextmq:idempotency:k")
        assert store.begin("k", "b", LEASE) == Busy(0)


def test_a_memory_that_was_cleared_knows_nothing() -> None:
    store = MemoryStore()
    store.begin("k", "a", LEASE)
    store.finish("k", "a", "1", KEEP)
    store.clear()
    assert store.begin("k", "b", LEASE) is None
