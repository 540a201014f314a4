"""Files by the SHA-256 of their bytes: bytes on disk, names in SQLite."""

import hashlib
import os
import re
import secrets
from collections.abc import AsyncIterable
from dataclasses import dataclass
from pathlib import Path

from sandbox.part3.ledger import Ledger
from sandbox.part3.problems import Problem
from sandbox.part3.store import Store

SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class Blob:
    """Bytes received and hashed, not yet under their name."""

    path: Path
    sha256: str
    size: int  # bytes


class Files:
    def __init__(self, store: Store, ledger: Ledger, *, max_bytes: int) -> None:
        self._store = store
        self._ledger = ledger
        self._max_bytes = max_bytes
        self._incoming = store.data / "incoming"
        self._incoming.mkdir(parents=True, exist_ok=True)
        for left_over in self._incoming.iterdir():  # of a process that was killed meanwhile
            left_over.unlink()

    def path(self, sha256: str) -> Path:
        return self._store.data / "files" / sha256[:2] / sha256

    def holds(self, project_id: str, sha256: str) -> bool:
        return self.size(project_id, sha256) is not None

    def size(self, project_id: str, sha256: str) -> int | None:
        """Bytes, or None when the project has no such file."""
        row = self._store.one(
            "SELECT size FROM files WHERE project_id = ? AND sha256 = ?", project_id, sha256
        )
        return int(row["size"]) if row else None

    async def receive(self, chunks: AsyncIterable[bytes]) -> Blob:
        """Write bytes to disk while hashing them; raises Problem 413 once they are too many."""
        path = self._incoming / secrets.token_hex(8)
        digest, size = hashlib.sha256(), 0
        try:
            with path.open("wb") as out:
                async for chunk in chunks:
                    size += len(chunk)
                    self._check_size(size)
                    digest.update(chunk)
                    out.write(chunk)
                out.flush()
                os.fsync(out.fileno())
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return Blob(path=path, sha256=digest.hexdigest(), size=size)

    def _check_size(self, size: int) -> None:
        if size > self._max_bytes:
            raise Problem(413, f"A file may have {self._max_bytes} bytes at most.")

    def keep(self, project_id: str, blob: Blob, *, name: str, by: str) -> bool:
        """Give a blob its place; returns False when the project had that file already."""
        target = self.path(blob.sha256)
        target.parent.mkdir(parents=True, exist_ok=True)
        blob.path.replace(target)
        with self._store.transaction():
            added = self._store.run(
                "INSERT INTO files (project_id, sha256, name, size, created_at)"
                " VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                project_id,
                blob.sha256,
                name,
                blob.size,
                self._store.now(),
            )
            if added:
                self._ledger.note(
                    "effect",
                    "file.stored",
                    project_id,
                    sha256=blob.sha256,
                    name=name,
                    size=blob.size,
                    by=by,
                )
        return bool(added)
