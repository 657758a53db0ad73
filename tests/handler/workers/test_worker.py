"""Worker: its name, its options, its processors."""

import functools
import typing as t
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextmq_handler import ConfigurationError, Worker
from nextmq_handler.protocol.arguments import is_queue_name
from nextmq_handler.workers.worker import find_processor, freeze

Function = Callable[..., t.Any]


def plain(job: object) -> None: ...
async def coroutine(job: object) -> None: ...
def with_default(job: object, tries: int = 3) -> None: ...
def all_defaults(job: object = None) -> None: ...
def keyword_with_default(job: object, *, tries: int = 3) -> None: ...
def any_positional(*args: object) -> None: ...
def anything(*args: object, **kwargs: object) -> None: ...
def positional_only(job: object, /) -> None: ...
def two(first: object, job: object) -> None: ...
async def async_two(first: object, job: object) -> None: ...
def nothing() -> None: ...
def keyword_only(*, job: object) -> None: ...
def one_and_a_keyword(job: object, *, tries: int) -> None: ...
def only_keywords(**kwargs: object) -> None: ...
def generator(job: object) -> Iterator[int]:
    yield 1


async def async_generator(job: object) -> AsyncIterator[int]:
    yield 1


@functools.wraps(two)
def wrapped_two(*args: t.Any) -> None: ...
@functools.wraps(plain)
def wrapped(*args: t.Any) -> None: ...
@functools.lru_cache
def cached(job: object) -> None: ...


class Service:
    def method(self, job: object) -> None: ...
    async def async_method(self, job: object) -> None: ...
    def no_job(self) -> None: ...

    @classmethod
    def class_method(cls, job: object) -> None: ...
    @staticmethod
    def static_method(job: object) -> None: ...


class Callable1:
    def __call__(self, job: object) -> None: ...


class AsyncCallable:
    async def __call__(self, job: object) -> None: ...


class Callable2:
    def __call__(self, first: object, job: object) -> None: ...


class GeneratorCallable:
    def __call__(self, job: object) -> Iterator[int]:
        yield 1


class Receipt:
    def __init__(self, job: object) -> None: ...


ACCEPTED: dict[str, tuple[Function, bool]] = {
    "def": (plain, False),
    "async def": (coroutine, True),
    "lambda": (lambda job: None, False),
    "a second argument with a default": (with_default, False),
    "an argument with a default": (all_defaults, False),
    "a keyword with a default": (keyword_with_default, False),
    "*args": (any_positional, False),
    "*args and **kwargs": (anything, False),
    "positional only": (positional_only, False),
    "a method": (Service().method, False),
    "an async method": (Service().async_method, True),
    "a class method": (Service.class_method, False),
    "a static method": (Service.static_method, False),
    "a callable object": (Callable1(), False),
    "an async callable object": (AsyncCallable(), True),
    "a partial": (functools.partial(two, 1), False),
    "an async partial": (functools.partial(async_two, 1), True),
    "a partial of a partial": (functools.partial(functools.partial(async_two), 1), True),
    "a partial of a method": (functools.partial(Service().async_method), True),
    "a partial of an async callable object": (functools.partial(AsyncCallable()), True),
    "a decorated function": (wrapped, False),
    "a cached function": (cached, False),
    "a class": (Receipt, False),
    "a builtin": (repr, False),
    "a builtin without a signature": (str, False),
}
REFUSED: dict[str, tuple[t.Any, str]] = {
    "no argument": (nothing, "must take exactly one positional argument"),
    "two arguments": (two, "must take exactly one positional argument"),
    "two arguments, async": (async_two, "must take exactly one positional argument"),
    "the job by keyword only": (keyword_only, "must take exactly one positional argument"),
    "a keyword without a default": (one_and_a_keyword, "must take exactly one positional argument"),
    "keywords only": (only_keywords, "must take exactly one positional argument"),
    "a method without the job": (Service().no_job, "must take exactly one positional argument"),
    "a method without its object": (Service.method, "must take exactly one positional argument"),
    "a partial that leaves nothing": (functools.partial(plain, 1), "must take exactly one positional argument"),
    "a partial that leaves two": (functools.partial(two), "must take exactly one positional argument"),
    "a callable object of two": (Callable2(), "must take exactly one positional argument"),
    "a decorated function of two": (wrapped_two, "must take exactly one positional argument"),
    "a class of none": (Service, "must take exactly one positional argument"),
    "a generator": (generator, "is a generator"),
    "an async generator": (async_generator, "is a generator"),
    "a callable generator": (GeneratorCallable(), "is a generator"),
    "a number": (7, "is not callable"),
    "None in a decorator": (None, "is not callable"),
}


@pytest.mark.parametrize(("function", "is_async"), ACCEPTED.values(), ids=ACCEPTED)
def test_what_takes_one_job_is_a_sync_or_async_processor(function: Function, is_async: bool) -> None:
    bound = find_processor(Worker("emails", function), "welcome")
    assert bound is not None
    assert (bound.function, bound.is_async) == (function, is_async)


@pytest.mark.parametrize(("function", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_does_not_take_one_job_is_refused_with_the_reason(function: t.Any, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"\AWorker\('emails'\): .*{reason}"):
        Worker("emails").processor(function)


def test_the_error_shows_how_to_write_the_processor() -> None:
    with pytest.raises(ConfigurationError, match=r"def two\(job\): …"):
        Worker("emails").processor(t.cast("t.Any", two))


@pytest.mark.parametrize("function", [plain, coroutine, Callable1()], ids=["def", "async def", "object"])
def test_the_decorator_for_all_jobs_returns_the_function_itself(function: Function) -> None:
    assert Worker("emails").processor(function) is function


@pytest.mark.parametrize("function", [plain, coroutine, Callable1()], ids=["def", "async def", "object"])
def test_the_decorator_for_a_job_name_returns_the_function_itself(function: Function) -> None:
    assert Worker("emails").processor("welcome")(function) is function


def test_a_job_goes_to_the_processor_of_its_name_and_else_to_the_fallback() -> None:
    worker = Worker("emails", plain)
    worker.processor("welcome")(coroutine)
    found = [find_processor(worker, name) for name in ("welcome", "goodbye", "")]
    assert [bound and bound.function for bound in found] == [coroutine, plain, plain]


def test_a_job_whose_name_has_no_processor_has_none_without_a_fallback() -> None:
    worker = Worker("emails")
    worker.processor("welcome")(plain)
    assert find_processor(worker, "goodbye") is None


def test_the_job_names_are_those_with_a_processor_of_their_own() -> None:
    worker = Worker("emails", plain)
    worker.processor("welcome")(plain)
    worker.processor("goodbye")(plain)
    assert worker.job_names == ("welcome", "goodbye")


def test_a_second_processor_of_a_job_name_is_refused() -> None:
    worker = Worker("emails")
    worker.processor("welcome")(plain)
    with pytest.raises(ConfigurationError, match="a processor for jobs named 'welcome' already"):
        worker.processor("welcome")(coroutine)


def test_a_second_processor_for_all_jobs_is_refused() -> None:
    worker = Worker("emails", plain)
    with pytest.raises(ConfigurationError, match="a processor for all jobs already"):
        worker.processor(coroutine)


def test_a_frozen_worker_takes_no_processor() -> None:
    worker = Worker("emails", plain)
    freeze(worker)
    with pytest.raises(ConfigurationError, match="is mounted already"):
        worker.processor("welcome")(plain)


def test_a_worker_without_a_processor_cannot_be_frozen() -> None:
    with pytest.raises(ConfigurationError, match=r"Worker\('emails'\) has no processor"):
        freeze(Worker("emails"))


def test_the_repr_of_a_worker_names_its_queue() -> None:
    assert repr(Worker("emails")) == "Worker('emails')"


names = st.text(max_size=5) | st.from_regex(r"[A-Za-z0-9._~-]{1,102}", fullmatch=True)


@given(name=names)
def test_a_queue_name_is_what_survives_every_router(name: str) -> None:
    allowed = set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~-")
    assert is_queue_name(name) == (1 <= len(name) <= 100 and set(name) <= allowed and name not in (".", ".."))


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", "a b", "ä", "a\n", "a%20b", "a:b", "x" * 101, "x" * 5000, None, 7, b"emails"]
)
def test_a_worker_of_a_name_that_no_queue_can_have_is_refused_with_the_rule(name: t.Any) -> None:
    with pytest.raises(ConfigurationError, match="is not a queue name: use 1 to 100 of the characters"):
        Worker(name)


def test_the_error_of_a_name_is_short_however_long_the_name() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Worker("x" * 5000)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("argument", "value", "option", "sent"),
    [
        ("concurrency", 1, "concurrency", 1),
        ("concurrency", 10_000, "concurrency", 10_000),
        ("timeout", 30, "timeout", 30_000),
        ("timeout", 0.001, "timeout", 1),
        ("timeout", 1.5, "timeout", 1500),
        ("timeout", timedelta(minutes=2), "timeout", 120_000),
        ("timeout", timedelta(days=7), "timeout", 604_800_000),
        ("limiter", {"max": 100, "duration": 1000}, "limiter", {"max": 100, "duration": 1000}),
        ("limiter", {"max": 1, "duration": timedelta(seconds=2)}, "limiter", {"max": 1, "duration": 2000}),
        ("lock_duration", 30_000, "lockDuration", 30_000),
        ("lock_duration", timedelta(seconds=30), "lockDuration", 30_000),
        ("stalled_interval", 1000, "stalledInterval", 1000),
        ("max_stalled_count", 0, "maxStalledCount", 0),
        ("dead_letter", True, "deadLetter", "emails-dlq"),
        ("dead_letter", "lost.letters", "deadLetter", "lost.letters"),
        ("backoff_strategies", {"slow": [0, 1_000]}, "backoffStrategies", {"slow": [0, 1_000]}),
        ("backoff_strategies", {"slow": (timedelta(minutes=1),)}, "backoffStrategies", {"slow": [60_000]}),
        ("backoff_strategies", {}, "backoffStrategies", {}),
    ],
)
def test_an_option_is_registered_in_camel_case_and_ms(
    argument: str, value: t.Any, option: str, sent: object
) -> None:
    assert Worker("emails", **{argument: value}).options[option] == sent


def test_options_that_are_not_given_are_left_to_the_server() -> None:
    assert Worker("emails", dead_letter=False).options == {"concurrency": 1, "timeout": 30_000}


def test_a_queue_whose_name_leaves_no_room_for_a_dead_letter_queue_needs_the_name_of_one() -> None:
    with pytest.raises(ConfigurationError, match="dead_letter takes True or a queue's name"):
        Worker("x" * 97, dead_letter=True)


BAD_STRATEGIES: list[object] = [
    5,
    ["slow"],
    {"fixed": [1]},
    {"exponential": [1]},
    {"": [1]},
    {"not slow": [1]},
    {"x" * 101: [1]},
    {5: [1]},
    {"slow": 5},
    {"slow": "1000"},
    {"slow": []},
    {"slow": [1] * 101},
    {"slow": [-1]},
    {"slow": [1.5]},
    {"slow": [True]},
    {"slow": [timedelta(days=4000)]},
    {f"slow-{number}": [1] for number in range(21)},
]
BAD_LIMITERS: list[object] = [5, [], {}, {"max": 1}, {"max": 1, "duration": 1, "groupKey": "a"}]


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        *(("concurrency", value) for value in (0, -1, 10_001, 1.5, True, "5", None)),
        *(("timeout", value) for value in (0, 0.0001, -1, 604_801, float("nan"), float("inf"), True, "30", None)),
        ("timeout", timedelta(0)),
        ("timeout", timedelta(days=8)),
        *(("limiter", value) for value in BAD_LIMITERS),
        *(("limiter", {"max": value, "duration": 1}) for value in (0, 1.5, True, "1", None)),
        *(("limiter", {"max": 1, "duration": value}) for value in (0, 1.5, True, "1", None, timedelta(0))),
        *(("lock_duration", value) for value in (0, 999, 1500.5, True, "30000", timedelta(milliseconds=999))),
        *(("stalled_interval", value) for value in (0, 999, 1500.5, True, "30000", timedelta(days=8))),
        *(("max_stalled_count", value) for value in (-1, 1001, 1.5, True, "1")),
        *(("backoff_strategies", value) for value in BAD_STRATEGIES),
        *(("dead_letter", value) for value in ("", "a b", "a:b", "x" * 101, "emails", 1, 5, None, b"lost")),
    ],
)
def test_an_option_that_cannot_work_is_refused_by_name(argument: str, value: t.Any) -> None:
    with pytest.raises(ConfigurationError, match=rf"\AWorker\('emails'\): {argument}\b"):
        Worker("emails", **{argument: value})


def test_an_option_that_does_not_exist_is_a_type_error_as_of_any_function() -> None:
    with pytest.raises(TypeError, match=r"Worker\(\) got an unexpected keyword argument 'concurency'"):
        Worker("emails", **t.cast("t.Any", {"concurency": 5}))
