"""`@idempotent` and the function below it: keys, what is stored, stores that fail, and what is decorated."""

import functools
import inspect
import typing as t
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from pydantic import PlainSerializer

from nextmq_handler import AsyncJob, ConfigurationError, Job, Worker, idempotent
from nextmq_handler.idempotency import Busy, Finished, MemoryStore
from nextmq_handler.protocol.wire import Delivery
from nextmq_handler.receiver.attempt import Attempt
from nextmq_handler.settings import load_settings
from tests.support.handler import (
    AnyJob,
    Style,
    deliver,
    delivery,
    failed,
    make_handler,
    outcome_of,
    sync_and_async,
)
from tests.support.typed import Order, Receipt, Welcome, annotated

pytestmark = pytest.mark.anyio

NOON, NOON_TEXT = datetime(2026, 9, 21, 12, tzinfo=UTC), "2026-09-21T12:00:00Z"
RAW_WELCOME = {"to": "a@b.c", "signed_up": NOON_TEXT}


async def outcomes_of(function: Callable[..., t.Any], *jobs: dict[str, t.Any]) -> list[dict[str, t.Any]]:
    """Return the outcomes of deliveries of these jobs, one after the other."""
    app = make_handler(Worker("emails", function), expose_stack=False)
    return [await deliver(app, delivery(job=job)) for job in jobs]


def completed(value: object) -> dict[str, object]:
    return {"outcome": "completed", "returnValue": value}


class Store(MemoryStore):
    """Writes down the keys and results that it gets."""

    def __init__(self) -> None:
        super().__init__()
        self.finished: list[tuple[str, str]] = []

    def finish(self, key: str, owner: str, result: str, keep: float) -> None:
        self.finished.append((key, result))
        super().finish(key, owner, result, keep)


@sync_and_async
async def test_an_id_that_is_used_again_later_is_another_job(style: Style) -> None:
    function = idempotent(MemoryStore())(style(lambda job: job.timestamp))
    outcomes = await outcomes_of(function, {"id": "1", "timestamp": 1}, {"id": "1", "timestamp": 2})
    assert outcomes == [completed(1), completed(2)]


@sync_and_async
async def test_a_key_of_ones_own_makes_two_jobs_one(style: Style) -> None:
    function = idempotent(MemoryStore(), key=lambda job: f"to:{job.data['to']}")(style(lambda job: job.id))
    outcomes = await outcomes_of(
        function,
        {"id": "1", "data": {"to": "a"}},
        {"id": "2", "data": {"to": "a"}},
        {"id": "3", "data": {"to": "b"}},
    )
    assert outcomes == [completed("1"), completed("1"), completed("3")]


@sync_and_async
async def test_a_key_is_made_of_the_typed_data(style: Style) -> None:
    store = Store()
    function = annotated(style, lambda job: None, data=Welcome)
    await outcomes_of(idempotent(store, key=lambda job: job.data.to)(function), {"data": RAW_WELCOME})
    assert store.finished == [("a@b.c", "null")]


@sync_and_async
async def test_a_processor_that_changes_its_data_finishes_the_key_that_it_began(style: Style) -> None:
    store = Store()
    function = idempotent(store, key=lambda job: job.data["to"])(style(lambda job: job.data.clear()))
    await outcomes_of(function, {"data": {"to": "a"}})
    assert store.finished == [("a", "null")]


@sync_and_async
async def test_a_key_that_raises_fails_the_attempt(style: Style) -> None:
    function = idempotent(MemoryStore(), key=lambda job: job.data["nothing"])(style(lambda job: None))
    assert await outcome_of(function, expose_stack=False) == failed("KeyError", "'nothing'")


Stamp = t.Annotated[datetime, PlainSerializer(lambda value: value.timestamp())]
TYPED: dict[str, tuple[t.Any, object, str]] = {
    "a model": (Receipt, Receipt(sent_at=NOON), f'{{"sent_at":"{NOON_TEXT}"}}'),
    "a dataclass": (Order, Order(7, NOON.date()), '{"number":7,"placed":"2026-09-21"}'),
    "models in a list": (list[Receipt], [Receipt(sent_at=NOON)], f'[{{"sent_at":"{NOON_TEXT}"}}]'),
    "a type with a serializer": (Stamp, NOON, "1789992000.0"),
    "plain JSON": (dict[str, t.Any], {"a": "ä"}, '{"a":"\\u00e4"}'),
    "nothing annotated": (t.Any, [1], "[1]"),
}


@sync_and_async
@pytest.mark.parametrize(("returns", "value", "text"), TYPED.values(), ids=TYPED)
async def test_a_result_is_stored_as_the_json_that_its_annotation_makes(
    returns: t.Any, value: object, text: str, style: Style
) -> None:
    store = Store()
    await outcomes_of(idempotent(store)(annotated(style, lambda job: value, returns=returns)), {})
    assert store.finished == [("emails:42:1789999000000", text)]


@sync_and_async
@pytest.mark.parametrize(("returns", "value", "text"), TYPED.values(), ids=TYPED)
async def test_a_stored_typed_result_is_the_outcome_of_both_runs(
    returns: t.Any, value: object, text: str, style: Style
) -> None:
    plain = annotated(style, lambda job: value, returns=returns)
    expected = await outcome_of(plain)
    assert await outcomes_of(idempotent(Store())(plain), {}, {}) == [expected, expected]


@sync_and_async
@pytest.mark.parametrize(
    ("returns", "value"),
    [(t.Any, {1, 2}), (t.Any, float("nan")), (Receipt, object()), (bytes, b"x")],
    ids=["a set", "NaN", "no Receipt", "bytes"],
)
async def test_a_result_that_is_not_json_fails_the_job_for_good(
    returns: t.Any, value: object, style: Style
) -> None:
    outcome = await outcome_of(idempotent(Store())(annotated(style, lambda job: value, returns=returns)))
    assert (outcome.get("unrecoverable"), outcome["error"]["name"]) == (True, "ReturnValueError")


@sync_and_async
async def test_a_result_that_is_not_json_is_not_stored(style: Style) -> None:
    store = Store()
    await outcome_of(idempotent(store)(style(lambda job: {1, 2})))
    assert store.finished == []


@sync_and_async
async def test_a_result_that_is_not_json_lets_the_next_one_run(style: Style) -> None:
    values = iter([{1, 2}, "done"])
    outcomes = await outcomes_of(idempotent(Store())(style(lambda job: next(values))), {}, {})
    assert outcomes[1] == completed("done")


class Broken(MemoryStore):
    """A store of which one method fails."""

    def __init__(self, method: str) -> None:
        super().__init__()
        self._method = method

    def _fail_in(self, method: str) -> None:
        if method == self._method:
            raise ConnectionError(f"no {method}")

    def begin(self, key: str, owner: str, lease: float) -> Finished | Busy | None:
        self._fail_in("begin")
        return super().begin(key, owner, lease)

    def finish(self, key: str, owner: str, result: str, keep: float) -> None:
        self._fail_in("finish")
        super().finish(key, owner, result, keep)

    def release(self, key: str, owner: str) -> None:
        self._fail_in("release")
        super().release(key, owner)


@sync_and_async
@pytest.mark.parametrize("method", ["begin", "finish"])
async def test_a_store_that_fails_fails_the_attempt(method: str, style: Style) -> None:
    outcome = await outcome_of(idempotent(Broken(method))(style(lambda job: "done")), expose_stack=False)
    assert outcome == failed("ConnectionError", f"no {method}")


@sync_and_async
async def test_a_store_that_fails_to_release_fails_the_attempt(style: Style) -> None:
    outcome = await outcome_of(idempotent(Broken("release"))(style(lambda job: 1 / 0)), expose_stack=False)
    assert outcome == failed("ConnectionError", "no release")


@sync_and_async
async def test_a_store_that_fails_to_begin_keeps_the_processor_from_running(style: Style) -> None:
    runs: list[AnyJob] = []
    await outcome_of(idempotent(Broken("begin"))(style(lambda job: runs.append(job))))
    assert runs == []


def charge(job: Job[Order]) -> Receipt:
    """Take the money."""
    return Receipt(sent_at=NOON)


async def acharge(job: AsyncJob[Order]) -> Receipt:
    """Take the money."""
    return Receipt(sent_at=NOON)


both_functions = pytest.mark.parametrize("function", [charge, acharge], ids=["def", "async def"])


@both_functions
def test_a_decorated_function_keeps_its_name_and_its_text(function: Callable[..., t.Any]) -> None:
    decorated = idempotent(MemoryStore())(function)
    assert (decorated.__name__, decorated.__doc__) == (function.__name__, "Take the money.")


@both_functions
def test_a_decorated_function_keeps_its_annotations(function: Callable[..., t.Any]) -> None:
    assert t.get_type_hints(idempotent(MemoryStore())(function)) == t.get_type_hints(function)


@both_functions
def test_a_decorated_function_stays_sync_or_async(function: Callable[..., t.Any]) -> None:
    decorated = idempotent(MemoryStore())(function)
    assert inspect.iscoroutinefunction(decorated) == inspect.iscoroutinefunction(function)


def job_42() -> t.Any:
    arguments: dict[str, t.Any] = {"deadline": 0.0, "expose_stack": True}
    return Attempt(Worker("emails", charge), Delivery(delivery()), load_settings(environ={}), **arguments).job


def test_a_decorated_def_can_be_called_by_a_test() -> None:
    result: object = idempotent(MemoryStore())(charge)(job_42())
    assert result == {"sent_at": NOON_TEXT}


async def test_a_decorated_async_def_can_be_awaited_by_a_test() -> None:
    result: object = await idempotent(MemoryStore())(acharge)(job_42())
    assert result == {"sent_at": NOON_TEXT}


class CallableObject:
    async def __call__(self, job: AsyncJob[t.Any]) -> str:
        return "done"


async def of_two(value: str, job: AsyncJob[t.Any]) -> str:
    return value


@pytest.mark.parametrize(
    "function", [CallableObject(), functools.partial(of_two, "done")], ids=["object", "partial"]
)
async def test_what_is_async_without_being_a_function_is_awaited(function: Callable[..., t.Any]) -> None:
    assert await outcome_of(idempotent(MemoryStore())(function)) == completed("done")


@pytest.mark.parametrize("function", [of_two, lambda: None, 7], ids=["two arguments", "none", "a number"])
def test_what_does_not_take_the_job_cannot_be_decorated(function: t.Any) -> None:
    with pytest.raises(ConfigurationError, match=r"\Aidempotent: "):
        idempotent(MemoryStore())(function)
