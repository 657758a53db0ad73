"""The hooks of a worker hear of its jobs, and change nothing."""

import asyncio
import threading
import typing as t
from collections.abc import Callable

import pytest

from nextmq_handler import AsyncQueue, ConfigurationError, DataError, Job, Queue, RateLimitError, Worker
from nextmq_handler.receiver import hooks
from nextmq_handler.testing import AsyncLocalNextMQ, LocalNextMQ
from tests.support.handler import AnyJob, Style, deliver, delivery, make_handler, sync_and_async

pytestmark = pytest.mark.anyio

Calls = list[tuple[t.Any, ...]]
HookStyle = Callable[[Callable[..., t.Any]], Callable[..., t.Any]]


def as_def(function: Callable[..., t.Any]) -> Callable[..., t.Any]:
    return lambda *args: function(*args)


def as_async_def(function: Callable[..., t.Any]) -> Callable[..., t.Any]:
    async def hook(*args: t.Any) -> None:
        await asyncio.sleep(0)
        function(*args)

    return hook


def all_hooks(calls: Calls, style: HookStyle = as_def) -> dict[str, t.Any]:
    """Return three hooks that write into `calls` what they get."""
    return {
        "on_active": style(lambda job: calls.append(("active", job.id))),
        "on_completed": style(lambda job, result: calls.append(("completed", job.id, result))),
        "on_failed": style(lambda job, error: calls.append(("failed", job.id, type(error)))),
    }


def boom(job: AnyJob) -> t.NoReturn:
    raise ValueError("no such address")


def later(job: AnyJob) -> t.NoReturn:
    raise RateLimitError(1000)


BODIES: list[tuple[Callable[[AnyJob], t.Any], Calls]] = [
    (lambda job: 7, [("active", "42"), ("completed", "42", 7)]),
    (boom, [("active", "42"), ("failed", "42", ValueError)]),
    (later, [("active", "42")]),
]

both_hooks = pytest.mark.parametrize("hook_style", [as_def, as_async_def], ids=["def hook", "async def hook"])


@both_hooks
@sync_and_async
@pytest.mark.parametrize(("body", "expected"), BODIES, ids=["completed", "failed", "signal"])
async def test_hooks_hear_of_each_attempt(
    style: Style, hook_style: HookStyle, body: Callable[[AnyJob], t.Any], expected: Calls
) -> None:
    calls: Calls = []
    await deliver(make_handler(Worker("emails", style(body), **all_hooks(calls, hook_style))))
    assert calls == expected


@both_hooks
@pytest.mark.parametrize("is_async", [False, True])
async def test_the_local_queues_call_hooks(hook_style: HookStyle, is_async: bool) -> None:
    calls: Calls = []
    workers = [Worker("emails", boom, **all_hooks(calls, hook_style))]
    if is_async:
        async with AsyncLocalNextMQ(workers=workers) as awaited:
            await AsyncQueue("emails").add("welcome", {}, job_id="mail")
            await awaited.run_until_idle()
    else:
        with LocalNextMQ(workers=workers) as mq:
            Queue("emails").add("welcome", {}, job_id="mail")
            mq.run_until_idle()
    assert calls == [("active", "mail"), ("failed", "mail", ValueError)]


@both_hooks
@pytest.mark.parametrize("end", [ValueError, SystemExit, asyncio.CancelledError, lambda: RateLimitError(5)])
async def test_a_hook_that_fails_is_logged_and_changes_nothing(
    hook_style: HookStyle, end: Callable[[], BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*args: object) -> t.NoReturn:
        raise end()

    hook = hook_style(fail)
    app = make_handler(Worker("emails", lambda job: 7, on_active=hook, on_completed=hook))
    assert await deliver(app) == {"outcome": "completed", "returnValue": 7}
    assert sum("failed with" in record.message for record in caplog.records) == 2


@pytest.mark.parametrize("is_async", [False, True])
async def test_the_answer_does_not_wait_for_a_hook_that_hangs(
    is_async: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(hooks, "MAX_HOOK_TIME", 0.05)
    over = threading.Event()

    async def hang_awaited(job: AnyJob) -> None:
        await asyncio.Event().wait()

    def hang(job: AnyJob) -> None:
        over.wait()

    app = make_handler(Worker("emails", lambda job: 7, on_active=hang_awaited if is_async else hang))
    assert (await deliver(app))["outcome"] == "completed"
    over.set()
    assert sum("takes too long" in record.message for record in caplog.records) == 1


async def test_on_failed_hears_of_a_result_that_cannot_be_sent() -> None:
    calls: Calls = []
    await deliver(make_handler(Worker("emails", t.cast("t.Any", lambda job: object()), **all_hooks(calls))))
    assert [call[0] for call in calls] == ["active", "failed"]


async def test_on_failed_hears_of_data_that_does_not_match() -> None:
    def typed(job: Job[int]) -> None: ...

    calls: Calls = []
    await deliver(make_handler(Worker("emails", typed, **all_hooks(calls))), delivery(job={"data": "x"}))
    assert calls[-1] == ("failed", "42", DataError)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"on_failed": lambda job: None}, "on_failed is called as on_failed(job, error)"),
        ({"on_completed": "log"}, "on_completed takes a function, not 'log'"),
        ({"on_active": lambda: None}, "on_active is called as on_active(job)"),
    ],
)
def test_a_hook_that_cannot_be_called_is_refused(options: dict[str, t.Any], message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Worker("emails", boom, **options)
    assert message in str(caught.value)
