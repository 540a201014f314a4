"""Bytes of files by their SHA-256, in a folder."""

import hashlib
import os
from pathlib import Path


class FileBox:
    """Content-addressed storage; the same bytes are kept once."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder

    def path(self, sha256: str) -> Path:
        return self._folder / sha256[:2] / sha256

    def keep(self, content: bytes) -> str:
        """Store and return the hash, lower-case hex."""
        sha256 = hashlib.sha256(content).hexdigest()
        target = self.path(sha256)
        if not target.exists():
            target.parent.mkdir(exist_ok=True)
            draft = target.with_suffix(f".{os.getpid()}.part")
            draft.write_bytes(content)
            draft.replace(target)
        return sha256

    def read(self, sha256: str) -> bytes:
        """The bytes; raises FileNotFoundError for a hash never kept."""
        return self.path(sha256).read_bytes()
