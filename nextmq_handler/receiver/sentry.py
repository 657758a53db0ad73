"""Sentry: what it sends from a processor, and its failure, has the job's tags, if the app has loaded Sentry."""

from __future__ import annotations

import contextlib
import sys
import typing as t

if t.TYPE_CHECKING:
    from ..protocol.wire import Delivery

_NO_SCOPE = contextlib.nullcontext()


def sentry_scope(delivery: Delivery) -> contextlib.AbstractContextManager[object]:
    """Return the scope of a delivery's run. An app that has not loaded Sentry pays nothing.

    Enter and leave it in one thread or task, around everything that the processor runs in.
    """
    sdk = sys.modules.get("sentry_sdk")
    if sdk is None or not hasattr(sdk, "isolation_scope"):  # before version 2
        return _NO_SCOPE
    return _tagged(sdk, delivery)


@contextlib.contextmanager
def _tagged(sdk: t.Any, delivery: Delivery) -> t.Generator[None]:
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(Exception):  # the job goes on without its tags
            scope = stack.enter_context(sdk.isolation_scope())
            scope.set_tag("queue", delivery.queue)
            scope.set_tag("job", delivery.job.id)
            scope.set_tag("job_name", delivery.job.name)
            scope.set_tag("attempt", delivery.job.attempts_made + 1)
        yield
