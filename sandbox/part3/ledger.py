"""What truly happened, for whoever compares it with what was said: calls, effects and events."""

import json
from typing import Any, Literal

from sandbox.part3.store import Store, rfc3339

Entry = Literal["call", "effect", "event"]


class Ledger:
    def __init__(self, store: Store) -> None:
        self._store = store

    def note(self, entry: Entry, what: str, project_id: str | None = None, **detail: Any) -> None:
        """Write a line; inside a transaction it stands or falls with the change it speaks of."""
        self._store.run(
            "INSERT INTO ledger (at, entry, what, project_id, detail) VALUES (?, ?, ?, ?, ?)",
            self._store.now(),
            entry,
            what,
            project_id,
            json.dumps(detail),
        )

    def read(
        self,
        *,
        after: int = 0,
        limit: int = 1000,
        entry: str | None = None,
        what: str | None = None,
    ) -> list[dict[str, Any]]:
        """Lines in order, from the one after `after`."""
        rows = self._store.all(
            "SELECT * FROM ledger WHERE seq > ?1 AND (?2 IS NULL OR entry = ?2)"
            " AND (?3 IS NULL OR what = ?3) ORDER BY seq LIMIT ?4",
            after,
            entry,
            what,
            limit,
        )
        return [
            {
                "seq": row["seq"],
                "at": rfc3339(row["at"]),
                "entry": row["entry"],
                "what": row["what"],
                "project_id": row["project_id"],
                **json.loads(row["detail"]),
            }
            for row in rows
        ]

    def counts(self) -> dict[str, int]:
        """How often each thing happened, by `entry:what`."""
        rows = self._store.all("SELECT entry, what, count(*) AS n FROM ledger GROUP BY 1, 2")
        return {f"{row['entry']}:{row['what']}": int(row["n"]) for row in rows}
