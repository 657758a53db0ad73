"""The job of a replay: what its processor would send to the server is printed, and nothing is finished."""

from __future__ import annotations

import json
import sys
import typing as t

from ..errors import StaleDeliveryError
from ..rules.log_text import one_line
from .answered import AnsweredAsyncJob, AnsweredJob, Answering

if t.TYPE_CHECKING:
    from ..client._http.call import Options

T = t.TypeVar("T")

MAX_SHOWN = 2000
"""The most characters that are printed of one call."""


class _Printing(Answering[T]):
    """A job that prints its processor's calls."""

    is_replay = True

    def _answer(self, method: str, path: tuple[str, ...], options: Options) -> dict[str, t.Any]:
        """Print a call, and answer as the server would.

        Raises StaleDeliveryError if the call asks for something, or the delivery was answered already.
        """
        self._caller()
        call = "/".join(path)
        if method == "GET":
            raise StaleDeliveryError(
                f"job {self.id} of queue {self.queue_name}: a replay cannot ask the server for its {call}"
            )
        content: t.Any = options.get("content", options.get("query") or {})
        print(  # noqa: T201 - what a replay is for
            f"replay {self.queue_name}/{self.id}: {_words(method, call, content)}", file=sys.stderr, flush=True
        )
        return {"count": 0}


class ReplayedJob(_Printing[T], AnsweredJob[T]):
    """The job of a `def` processor in a replay."""


class ReplayedAsyncJob(_Printing[T], AnsweredAsyncJob[T]):
    """The job of an `async def` processor in a replay."""


def _words(method: str, call: str, content: t.Any) -> str:
    match method, call:
        case "POST", "logs":
            shown = f"log {content['row']}"
        case "PUT", ("progress" | "data"):
            shown = f"{call} {_json(content[call])}"
        case _:
            shown = f"{method} {call} {_json(content)}"
    return one_line(shown, MAX_SHOWN)


def _json(value: object) -> str:
    try:
        return json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        return repr(value)
