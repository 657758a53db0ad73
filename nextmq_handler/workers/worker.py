"""Worker: a queue's processors and the options that the server enforces for it.

The functions below the class are what handlers and registrations do with a worker. They are not methods, so that
Worker shows its users only what is for them.
"""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import typing as t
from functools import partial

from ..errors import ConfigurationError
from ..protocol.arguments import check_queue_name
from .processor import BoundProcessor, bind

if t.TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

    from .error_mapping import Meaning, Translator
    from .hooks import Hook, HookName, OnActive, OnCompleted, OnFailed
    from .options import WorkerOptions
    from .processor import Async, Processor, ProcessorDecorator, Sync
    from .schedules import Schedule, ScheduledJob


class Worker:
    """The worker of queue `name`: what runs its jobs, and how many at once.

    A processor takes the job and returns its result: pass it here, or use the `processor` decorator. Options and
    processors are fixed once a handler has been made of the worker. Raises ConfigurationError, naming the
    argument, for a value that cannot work.

    - `errors`: what exceptions of a processor mean, by type; the first type that matches decides, so put a
      subclass before its base class. A value is an exception (`{httpx.TimeoutException: RateLimitError(5000)}`),
      an exception class, which takes over the message, or a function of the exception that returns one.
    - `schedules`: Every and Cron, by which the server adds jobs by itself.
    - `on_active(job)`, `on_completed(job, result)`, `on_failed(job, error)`: called in the app before or after
      each attempt, `def` or `async def`. The answer waits at most 5 s for a hook. One that fails is logged and
      changes nothing.
    - `options`: see WorkerOptions.
    """

    def __init__(
        self,
        name: str,
        processor: Processor | None = None,
        *,
        errors: Mapping[type[BaseException], Meaning] | None = None,
        schedules: t.Iterable[Schedule] = (),
        on_active: OnActive | None = None,
        on_completed: OnCompleted | None = None,
        on_failed: OnFailed | None = None,
        **options: t.Unpack[WorkerOptions],
    ) -> None:
        self.name: str = check_queue_name(name)
        self.options: t.Mapping[str, t.Any] = {"concurrency": 1, "timeout": 30_000}
        """The options as the registration carries them: camelCase, ms (protocol section 4)."""
        if options:
            from .options import check_options  # loaded only for a worker that has some

            self.options = {**self.options, **check_options(name, options)}
        self._translate: Translator | None = None
        if errors is not None:
            from .error_mapping import translator

            self._translate = translator(str(self), errors)
        self._hooks: Mapping[HookName, Hook] = {}
        if on_active or on_completed or on_failed:
            from .hooks import bind_hooks

            self._hooks = bind_hooks(
                str(self), {"on_active": on_active, "on_completed": on_completed, "on_failed": on_failed}
            )
        self._frozen = False
        self._processors: dict[str | None, BoundProcessor] = {}
        if processor is not None:
            self._add(None, processor)
        self._schedules: dict[str, Schedule] = {}
        for schedule in schedules:
            self._add_schedule(schedule)

    @t.overload
    def processor(self, name: str, /) -> ProcessorDecorator: ...
    @t.overload
    def processor(self, function: Async, /) -> Async: ...
    @t.overload
    def processor(self, function: Sync, /) -> Sync: ...
    def processor(self, target: t.Any, /) -> t.Any:
        """Run the jobs of a name with `@worker.processor("name")`, and all others with `@worker.processor`.

        The function is returned unchanged, so that a test can call it. Raises ConfigurationError for a function
        that does not take exactly the job, for a second one of the same name, and after the worker was mounted.
        """
        if isinstance(target, str):
            return partial(self._add, target)
        return self._add(None, target)

    def every(
        self,
        interval: int | timedelta,
        /,
        *,
        id: str | None = None,
        offset: int | timedelta | None = None,
        **job: t.Unpack[ScheduledJob],
    ) -> ProcessorDecorator:
        """Run the function at an interval, such as `@worker.every(timedelta(hours=1))`: see Every.

        The function is the processor of the jobs called `name`, by default the function's own name; the schedule's
        `id` is by default `name`. The function is returned unchanged, so it can have several schedules, and
        `@worker.processor` too. Raises ConfigurationError as `processor` does, for a second schedule of one id,
        and for a value that cannot work.
        """
        from .schedules import Every

        return self._scheduled(partial(Every, interval=interval, offset=offset), id, job)

    def cron(
        self, pattern: str, /, *, tz: str | None = None, id: str | None = None, **job: t.Unpack[ScheduledJob]
    ) -> ProcessorDecorator:
        """Run the function by the clock, such as `@worker.cron("0 8 * * 1", tz="Europe/Berlin")`: see Cron.

        The rest is as for `every`.
        """
        from .schedules import Cron

        return self._scheduled(partial(Cron, pattern=pattern, tz=tz), id, job)

    @property
    def job_names(self) -> tuple[str, ...]:
        """The job names that have a processor of their own."""
        return tuple(name for name in self._processors if name is not None)

    def __repr__(self) -> str:
        return f"Worker({self.name!r})"

    def _scheduled(self, make: t.Callable[..., Schedule], id: str | None, job: ScheduledJob) -> ProcessorDecorator:
        def add(function: t.Any) -> t.Any:
            name = job.get("name")
            if name is None:
                name = str(getattr(function, "__name__", "<"))
                if not name.isidentifier():
                    raise ConfigurationError(f"{self}: {function!r} has no name to call its jobs by: give name=…")
            schedule_id = name if id is None else id
            schedule = make(schedule_id, **{**job, "name": None if schedule_id == name else name})
            self._add(name, function)
            self._add_schedule(schedule)
            return function

        return add

    def _add(self, job_name: str | None, function: t.Any) -> t.Any:
        """Add and return the processor for `job_name`; None is for all names without a processor of their own."""
        if self._frozen:
            raise ConfigurationError(f"{self} is mounted already: add its processors before")
        held = self._processors.setdefault(job_name, bound := bind(function, str(self)))
        if held is not bound and job_name is None:
            raise ConfigurationError(f"{self} has a processor for all jobs already; give this one a job name")
        if held.function is not function:  # the same one may come again, with a schedule
            raise ConfigurationError(f"{self} has a processor for jobs named {job_name!r} already")
        return function

    def _add_schedule(self, schedule: Schedule) -> None:
        from .schedules import Schedule

        if self._frozen:
            raise ConfigurationError(f"{self} is mounted already: add its schedules before")
        if not isinstance(schedule, Schedule):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError(f"{self}: schedules takes Every and Cron, not {type(schedule).__name__}")
        if schedule.id in self._schedules:
            raise ConfigurationError(f"{self} has two schedules with the id {schedule.id!r}: give one another id=")
        self._schedules[schedule.id] = schedule


def listed(workers: t.Iterable[Worker]) -> tuple[Worker, ...]:
    """Return `workers`, each checked and frozen.

    Raises ConfigurationError if it is not a list of workers, or if one of them cannot work.
    """
    given = t.cast("object", workers)
    if isinstance(given, str) or not isinstance(given, t.Iterable):
        raise ConfigurationError(f"workers takes Worker objects in a list, workers=[…], not {_kind(workers)}")
    found = tuple(workers)
    for worker in found:
        if not isinstance(worker, Worker):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError(f"workers takes Worker objects, not {_kind(worker)}")
        freeze(worker)
    return found


def by_queue(workers: t.Iterable[Worker]) -> dict[str, Worker]:
    """Return `workers` by their queues, checked as in `listed`.

    Raises ConfigurationError also if there are none, or two for one queue.
    """
    found: dict[str, Worker] = {}
    for worker in listed(workers):
        if worker.name in found:
            raise ConfigurationError(
                f"workers has two for queue {worker.name!r}: make one, with a processor for each job name"
            )
        found[worker.name] = worker
    if not found:
        raise ConfigurationError("workers is empty: pass the Worker objects that this app runs, workers=[…]")
    return found


def freeze(worker: Worker) -> None:
    """Check `worker`; nothing can be added to it afterwards. Raises ConfigurationError if it cannot work."""
    if not worker._processors:
        raise ConfigurationError(
            f"{worker} has no processor: Worker({worker.name!r}, function), or decorate one with @….processor"
        )
    for processor in worker._processors.values():
        _ = processor.signature  # an annotation that cannot work is an error at start
    for schedule in worker._schedules.values():
        if find_processor(worker, schedule.name) is None:
            raise ConfigurationError(
                f"{worker}: {schedule} makes jobs named {schedule.name!r}, which have no processor: give it the "
                "name of one with name="
            )
    worker._frozen = True


def find_processor(worker: Worker, job_name: str) -> BoundProcessor | None:
    """Return the processor for jobs called `job_name`: its own, or the one for all others."""
    return worker._processors.get(job_name) or worker._processors.get(None)


def find_hook(worker: Worker, name: HookName) -> Hook | None:
    """Return the worker's hook `name`, if it has that."""
    return worker._hooks.get(name)


def translate_error(worker: Worker, exc: BaseException) -> BaseException:
    """Return what `exc` means by the worker's `errors`: `exc` itself if no entry matches its type."""
    return exc if worker._translate is None else worker._translate(exc)


def schemas_of(worker: Worker) -> dict[str, t.Any] | None:
    """Return the JSON Schema of each job name's data, "*" for all other names; None if nothing is typed."""
    schemas = {name: processor.signature.schema() for name, processor in worker._processors.items()}
    return {
        "*" if name is None else name: schema for name, schema in schemas.items() if schema is not None
    } or None


def schedules_of(worker: Worker) -> list[dict[str, t.Any]]:
    """Return the schedules as the registration carries them (protocol section 4)."""
    return [schedule._wire for schedule in worker._schedules.values()]


def _kind(value: object) -> str:
    return f"one Worker({value.name!r})" if isinstance(value, Worker) else type(value).__name__
