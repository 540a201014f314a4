"""SQLite and the clock of the stand-in.

One connection, used from the event loop only and never across an `await`: every piece of work is
one short transaction that nothing can come between.
"""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path
from typing import Any

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_time(micros: int) -> datetime:
    return EPOCH + timedelta(microseconds=micros)


def to_micros(at: datetime) -> int:
    """Microseconds since 1970 of an aware time; exact, unlike a float timestamp."""
    return (at - EPOCH) // timedelta(microseconds=1)


def rfc3339(micros: int) -> str:
    return to_time(micros).isoformat(timespec="microseconds").replace("+00:00", "Z")


class Store:
    def __init__(self, data: Path) -> None:
        data.mkdir(parents=True, exist_ok=True)
        self.data = data
        # Used by one event loop at a time; whoever builds the house may be another thread than it.
        self._connection = sqlite3.connect(
            data / "part3.sqlite3", isolation_level=None, check_same_thread=False
        )
        self._connection.row_factory = sqlite3.Row
        for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON"):
            self._connection.execute(f"PRAGMA {pragma}")
        self._connection.executescript(
            resources.files("sandbox.part3").joinpath("schema.sql").read_text()
        )
        self._last = self._latest_time()

    def _latest_time(self) -> int:
        """The newest time ever given out, so that a clock set back repeats none after a restart."""
        columns = ("records.updated_at", "returns.returned_at", "returns.updated_at")
        newest = 0
        for column in (*columns, "events.created_at", "ledger.at"):
            table, name = column.split(".")
            row = self.one(f"SELECT coalesce(max({name}), 0) AS t FROM {table}")
            newest = max(newest, int(row["t"]) if row else 0)
        return newest

    def now(self) -> int:
        """Microseconds since 1970; each call gives a later one."""
        self._last = max(self._last + 1, time.time_ns() // 1000)
        return self._last

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; inside another one it is part of that one."""
        if self._connection.in_transaction:
            yield
            return
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def run(self, sql: str, *values: Any) -> int:
        """Run a statement; returns how many rows it changed."""
        cursor = self._connection.execute(sql, values)
        changed = cursor.rowcount
        cursor.close()
        return changed

    def one(self, sql: str, *values: Any) -> sqlite3.Row | None:
        cursor = self._connection.execute(sql, values)
        row: sqlite3.Row | None = cursor.fetchone()
        cursor.close()
        return row

    def all(self, sql: str, *values: Any) -> list[sqlite3.Row]:
        cursor = self._connection.execute(sql, values)
        rows: list[sqlite3.Row] = cursor.fetchall()
        cursor.close()
        return rows

    def close(self) -> None:
        self._connection.close()
