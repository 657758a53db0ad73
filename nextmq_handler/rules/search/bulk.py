"""The body of a bulk operation, and which jobs each action works on."""

from __future__ import annotations

import typing as t

from pydantic import Field

from ..limits import MAX_ID, MAX_PAGE
from ..models import Closed, Delay, Priority, Queue
from ..refusals import invalid
from .filters import MAX_FILTER, Filter, parse_filter

BulkAction = t.Literal["retry", "promote", "remove", "redrive", "priority", "delay"]
"""What a bulk operation does to each job."""

MAX_PER_SECOND = 10_000
"""The highest rate of a bulk operation, in jobs a second."""

_UNSTARTED = ("waiting", "prioritized", "delayed")
STATES_OF: dict[BulkAction, tuple[str, ...]] = {
    "retry": ("failed", "completed"),
    "promote": ("delayed",),
    "remove": (*_UNSTARTED, "waiting-children", "failed", "completed"),
    "redrive": (*_UNSTARTED, "failed", "completed"),
    "priority": _UNSTARTED,
    "delay": ("delayed",),
}
"""The states of the jobs that each action works on."""

Ids = t.Annotated[
    list[t.Annotated[str, Field(min_length=1, max_length=MAX_ID)]], Field(min_length=1, max_length=MAX_PAGE)
]


class BulkOptions(Closed):
    """How to change the jobs: `priority` and `delay`, ms from now, for the actions of these names."""

    resetAttempts: bool = False
    priority: Priority | None = None
    delay: Delay | None = None


class BulkBody(Closed):
    """What to do to which jobs of a queue: those that match the filter, or those with the ids.

    With `perSecond`, to about so many a second at most.
    """

    action: BulkAction
    queue: Queue
    filter: t.Annotated[str, Field(max_length=MAX_FILTER)] | None = None
    ids: Ids | None = None
    options: BulkOptions = BulkOptions()
    perSecond: t.Annotated[int, Field(ge=1, le=MAX_PER_SECOND)] | None = None

    def checked_filter(self) -> Filter:
        """Return the filter, with the state if it follows from the action; no terms if there are ids.

        Raises Refusal or FilterError.
        """
        if (self.filter is None) == (self.ids is None):
            raise invalid("filter", "send either a filter or ids")
        for option in ("priority", "delay"):
            if (getattr(self.options, option) is not None) != (self.action == option):
                raise invalid(f"options.{option}", f"belongs to the action {option}, which needs it")
        if self.filter is None:
            return Filter()
        parsed = parse_filter(self.filter)
        if not parsed.terms:
            raise invalid("filter", "is empty: name the state at least, as state:failed")
        states, possible = [term.value for term in parsed.of("state")], STATES_OF[self.action]
        if any(state not in possible for state in states):
            raise invalid("filter", f"{self.action} works on jobs that are {' or '.join(possible)}")
        if not states and (self.action == "retry" or len(possible) == 1):
            return Filter((*parse_filter(f"state:{possible[0]}").terms, *parsed.terms))
        return parsed
