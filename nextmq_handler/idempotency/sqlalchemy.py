"""Results in the app's own database, through SQLAlchemy: any database with unique keys."""

from __future__ import annotations

import hashlib
import typing as t
from contextlib import suppress

from sqlalchemy import Column, Engine, Float, MetaData, String, Table, Text, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from ..protocol.clocks import wall_clock
from .store import Busy, Finished


def _stored(key: str) -> str:
    # Some databases compare text without its case: two jobs must not share a row. A hash also has one length.
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


class SQLAlchemyStore:
    """Keep results in a table. Create it once with `create_table()`, or by your own migration.

    The methods raise what SQLAlchemy raises. `clock` returns Unix seconds, the same in all processes.
    """

    def __init__(
        self, engine: Engine, *, table: str = "nextmq_idempotency", clock: t.Callable[[], float] = wall_clock
    ) -> None:
        self._engine = engine
        self._clock = clock
        self.table: Table = Table(
            table,
            MetaData(),
            Column("key", String(500), primary_key=True),
            Column("owner", String(32), nullable=False),
            Column("result", Text),
            Column("expires", Float, nullable=False),
        )

    def create_table(self) -> None:
        """Create the table, if it does not exist."""
        self.table.create(self._engine, checkfirst=True)

    def begin(self, key: str, owner: str, lease: float) -> Finished | Busy | None:
        """Claim `key` for `lease` s."""
        if (earlier := self._held_in_plain(key)) is not None:
            return earlier
        key = _stored(key)
        row = {"key": key, "owner": owner, "result": None, "expires": self._clock() + lease}
        c = self.table.c
        while True:
            with suppress(IntegrityError), self._engine.begin() as connection:
                connection.execute(insert(self.table).values(row))
                return None
            with self._engine.begin() as connection:
                held = connection.execute(select(c.owner, c.result, c.expires).where(c.key == key)).first()
                if held is None:
                    continue  # it was released or deleted meanwhile
                if (left := held.expires - self._clock()) > 0:
                    return Busy(left) if held.result is None else Finished(held.result)
                # Another run may claim the expired row too: the one that still sees it unchanged wins.
                same = (c.key == key, c.owner == held.owner, c.expires == held.expires)
                if connection.execute(update(self.table).where(*same).values(row)).rowcount:
                    return None

    def finish(self, key: str, owner: str, result: str, keep: float) -> None:
        """Keep `result` for `keep` s."""
        values = {"result": result, "expires": self._clock() + keep}
        key = _stored(key)
        with self._engine.begin() as connection:
            connection.execute(update(self.table).where(*self._is_owner(key, owner)).values(values))

    def release(self, key: str, owner: str) -> None:
        """Free `key`."""
        with self._engine.begin() as connection:
            connection.execute(delete(self.table).where(*self._is_owner(_stored(key), owner)))

    def delete_expired(self) -> int:
        """Delete the expired rows, and return how many. Call it now and then, such as in a scheduled job."""
        with self._engine.begin() as connection:
            return connection.execute(delete(self.table).where(self.table.c.expires <= self._clock())).rowcount

    def _held_in_plain(self, key: str) -> Finished | Busy | None:
        """Return what version 0.1 stored for `key`, as it is, until that expires."""
        c = self.table.c
        with self._engine.begin() as connection:
            rows = connection.execute(select(c.key, c.result, c.expires).where(c.key == key)).all()
        for row in rows:
            # A database may find the keys of others that differ in their case.
            if row.key == key and (left := row.expires - self._clock()) > 0:
                return Busy(left) if row.result is None else Finished(row.result)
        return None

    def _is_owner(self, key: str, owner: str) -> tuple[t.Any, ...]:
        c = self.table.c
        return (c.key == key, c.owner == owner, c.result.is_(None))
