"""The audit log of a project: a Redis stream. What cannot be noted is not done."""

from __future__ import annotations

import contextlib
import logging
import typing as t

from pydantic import ValidationError

from ..engine.scripts.scripts import ScriptRunner
from ..redis.connection import ConnectionLost, RedisError
from .entries import DONE, AuditEntry, ShownEntry

logger = logging.getLogger("nextmq_server.audit")

MAX_ENTRIES = 100_000
"""About how many entries are kept. An action has two: before and after it."""

MAX_LOOKED_AT = 10_000
"""How many entries one call of `read` looks at."""

_CHUNK = 500

# KEYS: the stream. ARGV: MAX_ENTRIES, the entry. Trimmed first: after that Redis takes the entry even if its
# memory is full, so that cleaning, which frees memory, can be noted.
_NOTE = """
redis.call('XTRIM', KEYS[1], 'MAXLEN', '~', ARGV[1])
return redis.call('XADD', KEYS[1], '*', 'entry', ARGV[2])
"""


class AuditUnavailable(Exception):
    """An action cannot be noted, so it is not done."""


class AuditPage(t.NamedTuple):
    """Some entries, the newest first, and the cursor to go on with; None at the end."""

    entries: list[ShownEntry]
    cursor: str | None


class AuditLog:
    """What operators did to one project."""

    def __init__(self, scripts: ScriptRunner) -> None:
        self._scripts = scripts
        self._key = scripts.keys("audit")

    async def note(self, entry: AuditEntry) -> str:
        """Write an entry, here and to the process's log; return its id.

        Raises AuditUnavailable if Redis refuses it, or ConnectionLost.
        """
        entry = entry.bounded()
        args = [MAX_ENTRIES, entry.model_dump_json(by_alias=True, exclude_none=True)]
        try:
            id: str = await self._scripts.run_composed(_NOTE, [self._key], args)
        except RedisError as exc:
            raise AuditUnavailable(str(exc)) from None
        logger.info("%s", entry)
        return id

    @contextlib.asynccontextmanager
    async def noted(self, entry: AuditEntry, code_of: t.Callable[[Exception], str]) -> t.AsyncGenerator[Changes]:
        """Note what is about to be done, and after it how it ended. Raises as `note` before it is done.

        `code_of` names the outcome of an action that raises. What is found out meanwhile goes into the changes.
        """
        id = await self.note(entry)
        changes, outcome = Changes(), "failed"
        try:
            yield changes
            outcome = DONE
        except Exception as exc:
            outcome = code_of(exc)
            raise
        finally:
            after = entry.model_copy(update={**changes, "outcome": outcome, "of": id})
            try:
                await self.note(after)
            except (
                AuditUnavailable,
                ConnectionLost,
            ) as exc:  # it is done: the entry before it tells that it was begun
                logger.error("cannot note the end of an action (%s): %s", exc, after.bounded())

    async def read(
        self,
        *,
        limit: int,
        cursor: str | None = None,
        who: str | None = None,
        action: str | None = None,
        queue: str | None = None,
    ) -> AuditPage:
        """Return at most `limit` entries that match, the newest first, below `cursor`.

        Of an action that has ended only the entry after it is shown. Raises RedisError or ConnectionLost.
        """
        found, ended, looked_at = list[ShownEntry](), await self._ended_after(cursor), 0
        while looked_at < MAX_LOOKED_AT and cursor != "0-0":  # Redis refuses it as an end
            end = "+" if cursor is None else f"({cursor}"
            rows = await self._scripts.connection.execute("XREVRANGE", self._key, end, "-", "COUNT", _CHUNK)
            for id, fields in rows:
                cursor = id
                entry = _parse(fields)
                if entry is None or id in ended:
                    continue
                if entry.of is not None:
                    ended.add(entry.of)
                if entry.matches(who=who, action=action, queue=queue):
                    found.append(ShownEntry(id, int(id.partition("-")[0]), entry))
                if len(found) == limit:
                    return AuditPage(found, cursor)
            if len(rows) < _CHUNK:
                return AuditPage(found, None)
            looked_at += len(rows)
        return AuditPage(found, cursor)

    async def _ended_after(self, cursor: str | None) -> set[str]:
        """Return the actions that ended shortly after `cursor`, on the page before."""
        if cursor is None:
            return set()
        rows = await self._scripts.connection.execute("XRANGE", self._key, f"({cursor}", "+", "COUNT", _CHUNK)
        entries = [_parse(fields) for _, fields in rows]
        page = await self._scripts.connection.execute("XRANGE", self._key, cursor, cursor)
        entries += [_parse(fields) for _, fields in page]
        return {entry.of for entry in entries if entry is not None and entry.of is not None}


class Changes(dict[str, t.Any]):
    """What became known of an action while it ran: `ids`, `count` and `filter`."""

    def note_jobs(self, ids: t.Sequence[str]) -> None:
        """Note the ids of the jobs that were changed."""
        self["ids"], self["count"] = list(ids), len(ids)

    def note_filter(self, text: str) -> None:
        """Note how the jobs were chosen."""
        self["filter"] = text


def _parse(fields: t.Sequence[str]) -> AuditEntry | None:
    try:
        return AuditEntry.model_validate_json(dict(zip(fields[::2], fields[1::2], strict=True))["entry"])
    except (ValidationError, KeyError):  # somebody else wrote it
        return None
