"""Team-only notes: what the design team says among itself.

They live in a table of their own that nothing which answers the API or sends events reads.
"""

from sqlite3 import Row

from sandbox.part3.store import Store


class TeamNotes:
    def __init__(self, store: Store) -> None:
        self._store = store

    def add(self, project_id: str, kind: str, procore_id: str, author_id: str, text: str) -> None:
        self._store.run(
            "INSERT INTO team_notes (project_id, kind, procore_id, author_id, text, created_at)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            project_id,
            kind,
            procore_id,
            author_id,
            text,
            self._store.now(),
        )

    def of_record(self, project_id: str, kind: str, procore_id: str) -> list[Row]:
        return self._store.all(
            "SELECT n.text, n.created_at, u.name FROM team_notes n JOIN users u"
            " ON u.id = n.author_id WHERE n.project_id = ? AND n.kind = ? AND n.procore_id = ?"
            " ORDER BY n.id",
            project_id,
            kind,
            procore_id,
        )
