"""Schedules from code: the decorators, the list, what is registered of them, and what is refused."""

from __future__ import annotations

import functools
import typing as t
from collections.abc import Callable
from datetime import timedelta

import pytest

from nextmq_handler import ConfigurationError, Cron, Every, Job, Worker
from nextmq_handler.registration import fingerprint, registration_of
from nextmq_handler.settings import load_settings
from nextmq_handler.workers.schedules import Schedule
from nextmq_handler.workers.worker import find_processor, freeze
from tests.support.handler import APP_URL, URL

SETTINGS = load_settings(url=URL, app_url=APP_URL, environ={})
HOUR = timedelta(hours=1)
MONDAYS = "0 8 * * 1"


def cleanup(job: Job) -> None: ...
async def report(job: object) -> None: ...


def declared(worker: Worker) -> list[dict[str, t.Any]]:
    return t.cast("list[dict[str, t.Any]]", registration_of(worker, SETTINGS)["schedules"])


def with_schedules(*schedules: Schedule) -> Worker:
    return Worker("emails", cleanup, schedules=schedules)


def test_every_registers_its_interval_under_the_name_of_the_function() -> None:
    worker = Worker("emails")
    worker.every(HOUR)(cleanup)
    assert declared(worker) == [{"id": "cleanup", "every": 3_600_000}]


def test_cron_registers_its_pattern_under_the_name_of_the_function() -> None:
    worker = Worker("emails")
    worker.cron(MONDAYS, tz="Europe/Berlin")(report)
    assert declared(worker) == [{"id": "report", "pattern": MONDAYS, "tz": "Europe/Berlin"}]


@pytest.mark.parametrize("function", [cleanup, report], ids=["def", "async def"])
def test_the_decorators_return_the_function(function: Callable[..., t.Any]) -> None:
    assert Worker("emails").every(HOUR)(function) is function


def test_the_function_is_the_processor_of_the_jobs_of_its_name() -> None:
    worker = Worker("emails")
    worker.every(HOUR)(cleanup)
    assert worker.job_names == ("cleanup",)


def test_a_name_of_its_own_is_the_jobs_and_the_schedules() -> None:
    worker = Worker("emails")
    worker.every(HOUR, name="clean up")(cleanup)
    assert (worker.job_names, declared(worker)[0]["id"]) == (("clean up",), "clean up")


def test_a_function_may_have_several_schedules() -> None:
    worker = Worker("emails")
    worker.cron(MONDAYS, id="mondays")(worker.cron("0 8 * * 5", id="fridays")(report))
    assert declared(worker) == [
        {"id": "fridays", "pattern": "0 8 * * 5", "name": "report"},
        {"id": "mondays", "pattern": MONDAYS, "name": "report"},
    ]


def test_a_schedule_may_be_put_on_a_named_processor() -> None:
    worker = Worker("emails")
    worker.every(HOUR)(worker.processor("cleanup")(cleanup))
    assert worker.job_names == ("cleanup",)


def test_a_named_processor_may_be_put_on_a_schedule() -> None:
    worker = Worker("emails")
    worker.processor("cleanup")(worker.every(HOUR)(cleanup))
    assert worker.job_names == ("cleanup",)


def test_a_schedule_may_be_put_on_the_processor_of_all_others() -> None:
    worker = Worker("emails")
    worker.every(HOUR)(worker.processor(cleanup))
    assert (worker.job_names, find_processor(worker, "anything") is not None) == (("cleanup",), True)


def test_the_list_says_the_same_as_the_decorators() -> None:
    decorated = Worker("emails", cleanup)
    decorated.every(HOUR, offset=timedelta(minutes=5), data={"n": 1}, limit=9, attempts=3)(cleanup)
    listed = with_schedules(
        Every("cleanup", HOUR, offset=timedelta(minutes=5), data={"n": 1}, limit=9, attempts=3)
    )
    assert declared(listed) == declared(decorated)


def test_options_are_sent_as_bullmq_spells_them() -> None:
    opts = {"remove_on_complete": {"age": timedelta(days=1)}, "backoff": {"type": "fixed", "delay": HOUR}}
    worker = with_schedules(Cron("weekly", MONDAYS, **t.cast("t.Any", opts)))
    assert declared(worker)[0]["opts"] == {
        "removeOnComplete": {"age": 86_400},
        "backoff": {"type": "fixed", "delay": 3_600_000},
    }


def test_data_is_what_it_was_when_the_schedule_was_made() -> None:
    data = {"n": 1}
    worker = with_schedules(Every("cleanup", HOUR, data=data))
    data["n"] = 2
    assert declared(worker)[0]["data"] == {"n": 1}


def test_a_worker_without_schedules_registers_none() -> None:
    assert "schedules" not in registration_of(Worker("emails", cleanup), SETTINGS)


def test_a_schedule_changes_the_fingerprint() -> None:
    bare, hourly, daily = (
        fingerprint(with_schedules(*schedules), SETTINGS)
        for schedules in ([], [Every("cleanup", HOUR)], [Every("cleanup", 24 * HOUR)])
    )
    assert len({bare, hourly, daily}) == 3


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: Every("x", 0), r"Every\('x'\): interval takes 1 to 315360000000 ms, not 0"),
        (lambda: Every("x", timedelta(days=3651)), "interval takes 1 to"),
        (lambda: Every("x", t.cast("t.Any", "1h")), "interval takes a whole number of ms or a timedelta, not str"),
        (lambda: Every("x", 10**400), "interval takes 1 to"),
        (lambda: Every("x", HOUR, offset=HOUR), "offset takes 0 to 3599999 ms"),
        (lambda: Every("x", HOUR, limit=0), "limit takes a whole number from 1 to 1000000000000, not 0"),
        (lambda: Every("x", HOUR, limit=True), "limit takes a whole number from 1 to 1000000000000, not True"),
        (lambda: Every("", HOUR), "id takes text of 1 to 256 characters"),
        (lambda: Every("x" * 257, HOUR), "id takes text of 1 to 256 characters"),
        (lambda: Every("\ud800", HOUR), "id takes text of 1 to 256 characters"),
        (lambda: Every("a:b", HOUR), "id must not contain a colon"),
        (lambda: Every(t.cast("t.Any", None), HOUR), "id takes text of 1 to 256 characters, not None"),
        (lambda: Every("x", HOUR, name=""), "name takes text of 1 to 256 characters"),
        (lambda: Every("x", HOUR, data=float("nan")), r"Every\('x'\): data is not JSON"),
        (lambda: Every("x", HOUR, data=object()), r"Every\('x'\): data is not JSON"),
        (
            lambda: Every("x", HOUR, **t.cast("t.Any", {"delay": 5})),
            r"Every\('x'\): delay: no such option of a sch",
        ),
        (lambda: Cron("x", "every day"), r"Cron\('x'\): pattern 'every day' has 2 fields; write five"),
        (lambda: Cron("x", ""), "pattern takes text of 1 to 200 characters"),
        (lambda: Cron("x", "1," * 100 + "1 * * * *"), "pattern takes text of 1 to 200 characters"),
        (lambda: Cron("x", MONDAYS, tz=""), "tz takes text of 1 to 64 characters"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_work_is_refused_with_its_name(make: Callable[[], object], reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        make()


@pytest.mark.parametrize(
    "schedules",
    [[Every("x", HOUR), Every("x", HOUR)], [Every("x", HOUR), Cron("x", MONDAYS)]],
    ids=["the same", "another kind"],
)
def test_two_schedules_of_one_id_are_refused(schedules: list[Schedule]) -> None:
    with pytest.raises(ConfigurationError, match=r"Worker\('emails'\) has two schedules with the id 'x'"):
        with_schedules(*schedules)


def test_two_decorators_of_one_id_are_refused() -> None:
    worker = Worker("emails")
    worker.every(HOUR)(cleanup)
    with pytest.raises(ConfigurationError, match="has two schedules with the id 'cleanup': give one another id="):
        worker.cron(MONDAYS)(cleanup)


def test_two_functions_of_one_name_are_refused() -> None:
    worker = Worker("emails")
    worker.every(HOUR)(cleanup)
    with pytest.raises(ConfigurationError, match="has a processor for jobs named 'cleanup' already"):
        worker.every(HOUR, name="cleanup")(report)


@pytest.mark.parametrize("function", [lambda job: None, functools.partial(cleanup)], ids=["lambda", "partial"])
def test_a_function_without_a_name_needs_one(function: Callable[..., t.Any]) -> None:
    with pytest.raises(ConfigurationError, match="has no name to call its jobs by: give name="):
        Worker("emails").every(HOUR)(function)


def test_a_function_that_takes_no_job_is_refused() -> None:
    def nothing() -> None: ...

    with pytest.raises(ConfigurationError, match="must take exactly one positional argument"):
        Worker("emails").every(HOUR)(t.cast("t.Any", nothing))


def test_a_schedule_whose_jobs_nobody_processes_is_refused_when_the_worker_is_mounted() -> None:
    worker = Worker("emails", schedules=[Every("cleanup", HOUR)])
    worker.processor("welcome")(report)
    with pytest.raises(ConfigurationError, match="makes jobs named 'cleanup', which have no processor"):
        freeze(worker)


def test_no_schedule_can_be_added_to_a_worker_that_is_mounted() -> None:
    worker = Worker("emails", cleanup)
    freeze(worker)
    with pytest.raises(ConfigurationError, match="is mounted already"):
        worker.every(HOUR)(cleanup)


def test_what_is_not_a_schedule_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="schedules takes Every and Cron, not str"):
        with_schedules(t.cast("t.Any", "hourly"))


@pytest.mark.parametrize("schedule", [Every("x", HOUR), Cron("x", MONDAYS)], ids=["Every", "Cron"])
def test_its_repr_tells_which_it_is(schedule: Schedule) -> None:
    assert repr(schedule) == f"{type(schedule).__name__}('x')"
