"""SQLite under everything: structs by key, their past states, sequences, settings and logs.

One connection, used from the event loop only, and no `await` inside a transaction: so every
domain operation is atomic against all others without a lock. WAL with `synchronous=NORMAL`
survives the death of the process at any moment.
"""

import sqlite3
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import msgspec

SCHEMA = """
CREATE TABLE IF NOT EXISTS kept (
    kind TEXT NOT NULL, key TEXT NOT NULL, parent TEXT NOT NULL, updated_at TEXT NOT NULL,
    doc BLOB NOT NULL, PRIMARY KEY (kind, key)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS kept_by_parent ON kept (kind, parent, updated_at);
CREATE TABLE IF NOT EXISTS past (
    kind TEXT NOT NULL, key TEXT NOT NULL, until TEXT NOT NULL, doc BLOB);
CREATE INDEX IF NOT EXISTS past_by_key ON past (kind, key, until);
CREATE TABLE IF NOT EXISTS sequences (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS calls (
    id INTEGER PRIMARY KEY, at TEXT NOT NULL, host TEXT NOT NULL, method TEXT NOT NULL,
    path TEXT NOT NULL, query TEXT NOT NULL, user_id INTEGER, app TEXT, company_id TEXT,
    status INTEGER, took_ms REAL, fault TEXT, request TEXT);
CREATE TABLE IF NOT EXISTS effects (
    id INTEGER PRIMARY KEY, at TEXT NOT NULL, effect TEXT NOT NULL, resource TEXT NOT NULL,
    resource_id TEXT NOT NULL, user_id INTEGER, app TEXT, call_id INTEGER, detail TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS events (
    id INTEGER PRIMARY KEY, ulid TEXT NOT NULL, at TEXT NOT NULL, resource_name TEXT NOT NULL,
    reason TEXT NOT NULL, resource_id INTEGER NOT NULL, company_id INTEGER NOT NULL,
    project_id INTEGER, user_id INTEGER, app TEXT);
CREATE TABLE IF NOT EXISTS deliveries (
    id INTEGER PRIMARY KEY, event_key TEXT NOT NULL, hook_id INTEGER NOT NULL,
    endpoint TEXT NOT NULL, status TEXT NOT NULL, not_before TEXT NOT NULL,
    resource_name TEXT NOT NULL, event_type TEXT NOT NULL, enqueued_at TEXT NOT NULL,
    attempt_count INTEGER NOT NULL DEFAULT 0, payload TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS deliveries_waiting ON deliveries (status, endpoint, not_before);
CREATE TABLE IF NOT EXISTS attempts (
    id INTEGER PRIMARY KEY, delivery_id INTEGER NOT NULL, started_at TEXT NOT NULL,
    completed_at TEXT, success INTEGER NOT NULL, response_status INTEGER, response_headers TEXT,
    response_body TEXT);
CREATE INDEX IF NOT EXISTS attempts_by_delivery ON attempts (delivery_id);
"""

PAST_KEPT = 12
"""How many superseded states a record keeps, for stale reads."""

CACHED = 8192


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A struct with a row of its own. Subclasses have an `id` or override `key`."""

    @property
    def key(self) -> str:
        return str(getattr(self, "id"))  # noqa: B009 - the base class has no such field

    @property
    def parent(self) -> str:
        """What it is listed under, as text; empty for the top level."""
        return ""

    @property
    def changed_at(self) -> datetime | None:
        """When it last changed, for `since`; None where nobody lists by it."""
        return None


K = TypeVar("K", bound=Kept)


class Store:
    """Everything the stand-in remembers, but for the bytes of files."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.row_factory = sqlite3.Row
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=5000"):
            self._db.execute(f"PRAGMA {pragma}")
        self._db.executescript(SCHEMA)
        self._depth = 0
        self._cache: OrderedDict[tuple[str, str], Kept] = OrderedDict()

    def close(self) -> None:
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; an inner one joins the outer one."""
        if self._depth == 0:
            self._db.execute("BEGIN IMMEDIATE")
        self._depth += 1
        try:
            yield
        except BaseException:
            self._depth -= 1
            if self._depth == 0:
                self._db.execute("ROLLBACK")
                self._cache.clear()
            raise
        self._depth -= 1
        if self._depth == 0:
            self._db.execute("COMMIT")

    # ------------------------------------------------------------------ structs by key

    def get(self, cls: type[K], key: object) -> K | None:
        """The struct with that key, or None."""
        name = (cls.__name__, str(key))
        if (hit := self._cache.get(name)) is not None:
            self._cache.move_to_end(name)
            return hit  # type: ignore[return-value] # the class is part of the cache key
        row = self._db.execute("SELECT doc FROM kept WHERE kind = ? AND key = ?", name).fetchone()
        return None if row is None else self._remember(name, cls, row["doc"])

    def _remember(self, name: tuple[str, str], cls: type[K], doc: bytes) -> K:
        value = msgspec.json.decode(doc, type=cls)
        self._cache[name] = value
        if len(self._cache) > CACHED:
            self._cache.popitem(last=False)
        return value

    def put(self, value: Kept, *, superseded_at: datetime | None = None) -> None:
        """Write it; with `superseded_at` the state before is kept for stale reads."""
        kind, key = type(value).__name__, value.key
        with self.transaction():
            if superseded_at is not None:
                self._keep_past(kind, key, superseded_at)
            self._db.execute(
                "INSERT OR REPLACE INTO kept VALUES (?, ?, ?, ?, ?)",
                (kind, key, value.parent, stamp(value.changed_at), msgspec.json.encode(value)),
            )
        self._cache[kind, key] = value

    def _keep_past(self, kind: str, key: str, until: datetime) -> None:
        row = self._db.execute(
            "SELECT doc FROM kept WHERE kind = ? AND key = ?", (kind, key)
        ).fetchone()
        self._db.execute(
            "INSERT INTO past VALUES (?, ?, ?, ?)", (kind, key, stamp(until), row and row["doc"])
        )
        self._db.execute(
            "DELETE FROM past WHERE rowid IN (SELECT rowid FROM past WHERE kind = ? AND key = ? "
            "ORDER BY until DESC, rowid DESC LIMIT -1 OFFSET ?)",
            (kind, key, PAST_KEPT),
        )

    def at(self, value: K, then: datetime) -> K | None:
        """The state that `value` had at `then`; None when it did not exist."""
        cls = type(value)
        row = self._db.execute(
            "SELECT doc FROM past WHERE kind = ? AND key = ? AND until > ? "
            "ORDER BY until, rowid LIMIT 1",
            (cls.__name__, value.key, stamp(then)),
        ).fetchone()
        if row is None:
            return value
        return None if row["doc"] is None else msgspec.json.decode(row["doc"], type=cls)

    def remove(self, cls: type[Kept], key: object) -> None:
        """Forget it, if it is there."""
        self._db.execute("DELETE FROM kept WHERE kind = ? AND key = ?", (cls.__name__, str(key)))
        self._cache.pop((cls.__name__, str(key)), None)

    def all(self, cls: type[K], parent: object = "", *, since: datetime | None = None) -> list[K]:
        """Everything under `parent`, by its numeric key; `since` leaves out older changes."""
        rows = self._db.execute(
            "SELECT key, doc FROM kept WHERE kind = ? AND parent = ? AND updated_at >= ? "
            "ORDER BY length(key), key",
            (cls.__name__, str(parent), stamp(since)),
        ).fetchall()
        return [self._row(cls, row) for row in rows]

    def every(self, cls: type[K]) -> list[K]:
        """Everything of that kind."""
        rows = self._db.execute(
            "SELECT key, doc FROM kept WHERE kind = ? ORDER BY length(key), key", (cls.__name__,)
        ).fetchall()
        return [self._row(cls, row) for row in rows]

    def _row(self, cls: type[K], row: sqlite3.Row) -> K:
        name = (cls.__name__, row["key"])
        hit = self._cache.get(name)
        if hit is not None:
            return hit  # type: ignore[return-value] # the class is part of the cache key
        return self._remember(name, cls, row["doc"])

    # ------------------------------------------------------- sequences, settings, SQL

    def next_id(self, sequence: str, start: int = 1) -> int:
        """The next number of a sequence that begins at `start`."""
        row = self._db.execute(
            "INSERT INTO sequences VALUES (?, ?) "
            "ON CONFLICT (name) DO UPDATE SET value = value + 1 RETURNING value",
            (sequence, start),
        ).fetchone()
        return int(row["value"])

    def last_id(self, sequence: str) -> int:
        """The number that a sequence gave last; 0 before its first."""
        row = self._db.execute("SELECT value FROM sequences WHERE name = ?", (sequence,)).fetchone()
        return int(row["value"]) if row else 0

    def raise_sequence(self, sequence: str, value: int) -> None:
        """Never give `value` or less again."""
        self._db.execute(
            "INSERT INTO sequences VALUES (?, ?) "
            "ON CONFLICT (name) DO UPDATE SET value = max(value, excluded.value)",
            (sequence, value),
        )

    def setting(self, name: str) -> str | None:
        row = self._db.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row["value"])

    def keep_setting(self, name: str, value: str) -> None:
        self._db.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (name, value))

    def insert(self, table: str, **columns: Any) -> int:
        """Append a row to one of the logs and return its number."""
        names, marks = ", ".join(columns), ", ".join("?" * len(columns))
        done = self._db.execute(
            f"INSERT INTO {table} ({names}) VALUES ({marks})", tuple(columns.values())
        )
        return int(done.lastrowid or 0)

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
        return [dict(row) for row in self._db.execute(sql, parameters).fetchall()]

    def run(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        """Execute and return how many rows it touched."""
        return self._db.execute(sql, parameters).rowcount

    def forget_everything(self) -> None:
        """Empty every table: a new world."""
        tables = self.rows("SELECT name FROM sqlite_master WHERE type = 'table'")
        with self.transaction():
            for table in tables:
                self._db.execute(f"DELETE FROM {table['name']}")
        self._cache.clear()


def stamp(at: datetime | None) -> str:
    """A time as sortable text; empty for none."""
    return "" if at is None else at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def unstamp(text: str) -> datetime:
    """The time of such a text."""
    return datetime.fromisoformat(text)
