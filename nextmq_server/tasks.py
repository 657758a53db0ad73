"""Background tasks of the server."""

from __future__ import annotations

import asyncio
import typing as t

Answer = t.TypeVar("Answer")
Place = t.TypeVar("Place", bound=t.Hashable)


async def end_tasks(*tasks: asyncio.Task[t.Any] | None) -> None:
    """Cancel the tasks and wait until they have ended. None stands for a task that was not started."""
    started = [task for task in tasks if task is not None]
    for task in started:
        task.cancel()
    if started:
        await asyncio.wait(started)


def _keep(_answer: object) -> None:
    """Do nothing with an answer that holds nothing open."""


async def first_answers(
    asking: t.Mapping[Place, t.Coroutine[t.Any, t.Any, Answer]],
    *,
    grace: float,
    discard: t.Callable[[Answer], object] = _keep,
) -> tuple[dict[Place, Answer], dict[Place, Exception]]:
    """Ask all at once, and wait `grace` s for the others once one has answered.

    Return the answers and the exceptions that came by then. The others are cancelled; `discard` gets each answer
    that is not returned.
    """
    answers: dict[Place, Answer] = {}
    failures: dict[Place, Exception] = {}
    tasks = {asyncio.ensure_future(question): place for place, question in asking.items()}
    waiting = set(tasks)
    try:
        while waiting:
            done, waiting = await asyncio.wait(
                waiting, timeout=grace if answers else None, return_when=asyncio.FIRST_COMPLETED
            )
            if not done:
                break
            for task in done:
                failure = task.exception()
                if failure is None:
                    answers[tasks[task]] = task.result()
                elif isinstance(failure, Exception):
                    failures[tasks[task]] = failure
                else:
                    raise failure
    except BaseException:
        answers.clear()
        raise
    finally:
        await end_tasks(*waiting)
        for task, place in tasks.items():
            if place not in answers and not task.cancelled() and task.exception() is None:
                discard(task.result())
    return answers, failures
