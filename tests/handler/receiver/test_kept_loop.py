"""The kept loop: async processors of one process without a loop of its own share one, whoever delivers."""

import asyncio
import subprocess
import sys
import threading
import typing as t
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar

import pytest

from nextmq_handler import AsyncJob, Worker
from nextmq_handler.protocol.messages import Headers, Request
from nextmq_handler.receiver import kept_loop
from nextmq_handler.receiver.receiver import Receiver
from nextmq_handler.receiver.sync_driver import SyncDriver
from tests.support.handler import NOW, SECRET, delivery, encode, signed

BODY = encode(delivery())
Process = t.Callable[[AsyncJob[t.Any]], t.Awaitable[object]]


def driver_of(process: t.Any) -> SyncDriver:
    return SyncDriver(Receiver([Worker("emails", process)], webhook_secrets=SECRET, clock=lambda: NOW))


def deliver(driver: SyncDriver) -> None:
    answer = driver.respond(Request("POST", "/queues/emails", Headers(signed(BODY))), lambda plan: BODY)
    assert answer.body.startswith(b'{"outcome":"completed"'), answer.body


class Seen:
    """A processor that keeps the loops and threads on which it ran."""

    def __init__(self) -> None:
        self.loops: list[asyncio.AbstractEventLoop] = []
        self.threads: list[int] = []

    async def __call__(self, job: AsyncJob[t.Any]) -> None:
        self.loops.append(asyncio.get_running_loop())
        self.threads.append(threading.get_ident())


def test_deliveries_one_after_the_other_run_on_one_loop() -> None:
    seen = Seen()
    driver = driver_of(seen)
    for _ in range(3):
        deliver(driver)
    assert (len(seen.loops), len(set(seen.loops))) == (3, 1)


def test_deliveries_of_many_threads_run_on_one_loop() -> None:
    seen = Seen()
    driver = driver_of(seen)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(deliver, [driver] * 8))
    assert (len(seen.loops), len(set(seen.loops))) == (8, 1)


def test_deliveries_of_many_handlers_run_on_one_loop() -> None:
    seen = Seen()
    for _ in range(2):
        deliver(driver_of(seen))
    assert (len(seen.loops), len(set(seen.loops))) == (2, 1)


def test_the_loop_runs_in_a_thread_of_its_own() -> None:
    seen = Seen()
    deliver(driver_of(seen))
    assert seen.threads != [threading.get_ident()]


def test_threads_that_ask_first_at_the_same_time_get_one_loop() -> None:
    program = """
import asyncio, threading
from concurrent.futures import ThreadPoolExecutor
from nextmq_handler.receiver import kept_loop

together = threading.Barrier(8)

async def loop():
    return id(asyncio.get_running_loop())

def ask(_):
    together.wait()
    return kept_loop.run(loop)

with ThreadPoolExecutor(8) as pool:
    print(len(set(pool.map(ask, range(8)))))
"""
    assert output_of(program) == "1\n"


def test_what_is_bound_to_the_loop_outlives_a_delivery() -> None:
    queue: list[asyncio.Queue[str]] = []
    taken: list[str] = []

    async def first(job: AsyncJob[t.Any]) -> None:
        queue.append(asyncio.Queue())
        asyncio.get_running_loop().call_soon(queue[0].put_nowait, "kept")

    async def second(job: AsyncJob[t.Any]) -> None:
        taken.append(await queue[0].get())

    deliver(driver_of(first))
    deliver(driver_of(second))
    assert taken == ["kept"]


def test_deliveries_of_many_threads_run_at_the_same_time() -> None:
    together: list[asyncio.Barrier] = []

    async def process(job: AsyncJob[t.Any]) -> None:
        if not together:
            together.append(asyncio.Barrier(3))
        await together[0].wait()

    driver = driver_of(process)
    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(deliver, [driver] * 3)) == [None] * 3


request_id: ContextVar[str] = ContextVar("request_id")


def test_a_processor_sees_the_context_of_its_request() -> None:
    seen: list[str] = []

    async def process(job: AsyncJob[t.Any]) -> None:
        seen.append(request_id.get())

    request_id.set("r1")
    deliver(driver_of(process))
    assert seen == ["r1"]


def test_what_is_awaited_on_the_loop_raises_where_it_was_asked_for() -> None:
    async def fail() -> None:
        raise ValueError("x")

    with pytest.raises(ValueError, match=r"\Ax\Z"):
        kept_loop.run(fail)


def output_of(program: str) -> str:
    """Run a program in a new process, and return what it prints."""
    command = [sys.executable, "-c", program]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


DELIVERY = f"""
import os, sys, threading
from nextmq_handler import Worker
from nextmq_handler.protocol.messages import Headers, Request
from nextmq_handler.receiver.receiver import Receiver
from nextmq_handler.receiver.sync_driver import SyncDriver

def deliver(process):
    receiver = Receiver([Worker("emails", process)], webhook_secrets={SECRET!r}, clock=lambda: {NOW})
    headers = Headers({signed(BODY)!r})
    return SyncDriver(receiver).respond(Request("POST", "/queues/emails", headers), lambda plan: {BODY!r}).body

async def async_process(job):
    return [os.getpid(), threading.get_native_id()]
"""


def test_a_def_starts_no_loop() -> None:
    program = (
        DELIVERY
        + """
deliver(lambda job: None)
print("asyncio" in sys.modules, [thread.name for thread in threading.enumerate()])
"""
    )
    assert output_of(program) == "False ['MainThread']\n"


def test_a_process_whose_loop_was_used_ends() -> None:
    assert output_of(DELIVERY + "deliver(async_process); print('end')") == "end\n"


def test_a_fork_has_a_loop_of_its_own() -> None:
    program = (
        DELIVERY
        + """
first = deliver(async_process)
child = os.fork()
if child == 0:
    second = deliver(async_process)
    print(second != first and f"[{os.getpid()}," in second.decode(), flush=True)
    os._exit(0)
os.waitpid(child, 0)
"""
    )
    assert output_of(program) == "True\n"


@pytest.mark.parametrize("uses", ["deliver(async_process)", "pass"], ids=["used it", "did not"])
def test_a_fork_of_a_process_whose_loop_was_used_ends(uses: str) -> None:
    program = (
        DELIVERY
        + f"""
deliver(async_process)
child = os.fork()
if child == 0:
    {uses}
    sys.exit(7)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    )
    assert output_of(program) == "7\n"


def test_a_process_whose_fork_has_ended_still_has_its_loop() -> None:
    program = (
        DELIVERY
        + """
first = deliver(async_process)
child = os.fork()
if child == 0:
    sys.exit(0)
os.waitpid(child, 0)
print(deliver(async_process) == first)
"""
    )
    assert output_of(program) == "True\n"
