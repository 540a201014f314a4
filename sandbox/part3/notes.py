"""Team-only notes: what the design team says among itself.

They live in tables of their own that nothing which answers the API or sends events reads.
"""

from sqlite3 import Row

from sandbox.part3.store import Store

SHOWN_ON = """
SELECT n.id, n.text, n.created_at, n.procore_id, u.name
FROM team_notes n JOIN users u ON u.id = n.author_id
WHERE n.project_id = ?1 AND n.kind = ?2 AND (n.procore_id = ?3 OR n.id IN (
  SELECT note_id FROM carried_notes WHERE project_id = ?1 AND kind = ?2 AND procore_id = ?3))
ORDER BY n.id
"""
CARRY = """
INSERT INTO carried_notes (project_id, kind, procore_id, note_id, carried_by, carried_at)
VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING
"""


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
        """The notes shown on a record, oldest first; `procore_id` says where one was written."""
        return self._store.all(SHOWN_ON, project_id, kind, procore_id)

    def left_behind(self, project_id: str, kind: str, earlier: str, later: str) -> list[Row]:
        """The notes on one revision that the later one does not show."""
        shown = {note["id"] for note in self.of_record(project_id, kind, later)}
        found = self.of_record(project_id, kind, earlier)
        return [note for note in found if note["id"] not in shown]

    def carry(self, project_id: str, kind: str, earlier: str, later: str, *, by: str) -> int:
        """Show the notes of one revision on a later one too; returns how many were new there."""
        with self._store.transaction():
            found = self.left_behind(project_id, kind, earlier, later)
            for note in found:
                self._store.run(CARRY, project_id, kind, later, note["id"], by, self._store.now())
        return len(found)
