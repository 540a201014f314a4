"""PostgreSQL as the programs see it, in memory: their own SQL, answered by Python.

Each statement of the programs has its answer in `simulation/statements/`, found by its text. That
those answers are PostgreSQL's is not believed: `tests/simulation/test_statements_in_postgres.py`
sends whole histories to a real one and compares every answer.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeAlias

Row: TypeAlias = dict[str, Any]
Handler: TypeAlias = Callable[..., list[Row]]
ANSWERS: dict[str, Handler] = {}
"""SQL to what answers it: called with the database and the statement's arguments."""


class UnknownStatement(AssertionError):  # noqa: N818 - says what it is
    """The simulation was not taught a statement that a program has since got, or has changed."""

    def __init__(self, sql: str) -> None:
        super().__init__(
            "simulation/statements/ has no answer to this statement; write one beside those of its "
            f"module:\n{sql}"
        )


def answers(sql: str) -> Callable[[Handler], Handler]:
    """Make a function the answer to a statement."""

    def keep(handler: Handler) -> Handler:
        ANSWERS[sql] = handler
        return handler

    return keep


class Table:
    """Rows by key. A row is never changed in place, so that a rollback puts the old one back."""

    def __init__(self, undo: list[tuple["Table", Any, Row | None]]) -> None:
        self.rows: dict[Any, Row] = {}
        self._undo = undo
        self.on_change: Callable[[Row], None] | None = None

    def get(self, key: Any) -> Row | None:
        """Return a row, or None."""
        return self.rows.get(key)

    def all(self) -> list[Row]:
        """Return every row, oldest first."""
        return list(self.rows.values())

    def put(self, key: Any, row: Row) -> Row:
        """Insert or replace a row."""
        self._undo.append((self, key, self.rows.get(key)))
        self.rows[key] = row
        if self.on_change is not None:
            self.on_change(row)
        return row

    def change(self, key: Any, **fields: Any) -> Row:
        """Change fields of a row that is there."""
        return self.put(key, self.rows[key] | fields)

    def delete(self, key: Any) -> None:
        """Delete a row that is there."""
        self._undo.append((self, key, self.rows.pop(key)))

    def restore(self, key: Any, row: Row | None) -> None:
        """Take a change back."""
        if row is None:
            self.rows.pop(key, None)
        else:
            self.rows[key] = row


TABLES = (
    "projects", "records", "looks", "files", "sweeps", "deliveries", "write_intents", "install",
    "seen_versions", "readiness", "uploads", "activity", "awaited_replies", "removals",
    "listed", "comparisons", "sealed_answers", "answers_elsewhere", "empty_files",
    "grants", "refresh_attempts", "audit",
)  # fmt: skip


class Database:
    """The server: tables, a clock, and one transaction at a time."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._undo: list[tuple[Table, Any, Row | None]] = []
        self.clock = clock
        self.is_down = False
        self.now = clock()
        self.journal: list[tuple[Any, ...]] | None = None
        self.sequences: dict[str, int] = {}
        self.noted: Counter[str] = Counter()
        self.unknown: set[str] = set()
        self.grants_lost: Counter[str] = Counter()  # by user, less those that came back
        for name in TABLES:
            setattr(self, name, Table(self._undo))

    def __getattr__(self, name: str) -> Table:  # only for what is not there
        raise AttributeError(name)

    def next_value(self, sequence: str) -> int:
        """Return a sequence's next value; a rollback does not take it back."""
        self.sequences[sequence] = self.sequences.get(sequence, 0) + 1
        return self.sequences[sequence]

    def put_row(self, table: str, key: Any, row: Row) -> None:
        """Put a row there without a statement of a program's: what was there before it began."""
        self.table(table).put(key, row)
        if self.journal is not None:
            self.journal.append(("put", table, row))

    def change_row(self, table: str, key: Row, **fields: Any) -> None:
        """Change a row without a statement of a program's, named by its key's columns."""
        names = tuple(key.values())
        self.table(table).change(names[0] if len(names) == 1 else names, **fields)
        if self.journal is not None:
            self.journal.append(("change", table, key, fields))

    def table(self, name: str) -> Table:
        """Return a table by its name."""
        found: Table = getattr(self, name)
        return found

    def begin(self) -> None:
        """Begin a transaction: `now` stands still in it."""
        self.now = self.clock()
        self._undo.clear()
        if self.journal is not None:
            self.journal.append(("begin", self.now))

    def commit(self) -> None:
        """Keep what was changed."""
        self._undo.clear()
        if self.journal is not None:
            self.journal.append(("commit",))

    def rollback(self) -> None:
        """Take back what was changed since the beginning."""
        for table, key, row in reversed(self._undo):
            table.restore(key, row)
        self._undo.clear()
        if self.journal is not None:
            self.journal.append(("rollback",))

    def run(self, sql: str, args: Sequence[Any]) -> list[Row]:
        """Answer one statement."""
        handler = ANSWERS.get(sql)
        if handler is None:
            self.unknown.add(sql)
            raise UnknownStatement(sql)
        if self.journal is None:
            return handler(self, *args)
        try:
            rows = handler(self, *args)
        except Exception as error:
            self.journal.append(("statement", sql, args, type(error).__name__))
            raise
        self.journal.append(("statement", sql, args, rows))
        return rows

    def after(self, seconds: float) -> datetime:
        """Return `now() + make_interval(secs => seconds)`."""
        return self.now + timedelta(seconds=seconds)
