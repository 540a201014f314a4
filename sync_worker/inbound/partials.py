"""Where files lie on their way from Procore to Part3, so that a crash costs no more than its part.

A file that went through is removed; what a fault or a crash leaves is gone on with by the next
attempt on this host, and removed after a day.
"""

import asyncio
import fcntl
import hashlib
import os
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO

import structlog

from services.errors import TryLater

KEPT_S = 86_400.0
TIDIED_EVERY_S = 3_600.0
FOLDER_PREFIX = "connector-files"

log = structlog.get_logger()


def default_folder() -> Path:
    """Return the folder of this user under TMPDIR; all workers of a host share it."""
    return Path(tempfile.gettempdir()) / f"{FOLDER_PREFIX}-{os.getuid()}"


class Partials:
    """Gives each attachment a place of its own, which survives this process."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._tidied_at: float | None = None

    @asynccontextmanager
    async def place_of(self, project_id: str, attachment_id: str) -> AsyncIterator[Path]:
        """Give a path to write an attachment to; what fails for now leaves it as it is.

        Two that copy the same attachment at once never write to one file: the second one gets
        another place, which does not last.
        """
        name = hashlib.sha256(f"{project_id}\n{attachment_id}".encode()).hexdigest()[:40]
        locked = await asyncio.to_thread(self._taken, name)
        if locked is None:
            with tempfile.TemporaryDirectory(prefix="connector-") as folder:
                yield Path(folder) / "bytes"
            return
        keep = False
        try:
            yield self._folder / name
        except (TryLater, asyncio.CancelledError):
            keep = True
            raise
        finally:
            await asyncio.to_thread(self._given_back, name, locked, keep=keep)

    def _taken(self, name: str) -> IO[bytes] | None:
        """Lock a place; None when another worker has it, or the folder cannot be trusted."""
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            seen = self._folder.lstat()
            if seen.st_uid != os.getuid() or not self._folder.is_dir() or seen.st_mode & 0o077:
                log.warning("files.folder_not_ours", folder=str(self._folder))
                return None
            self._tidy()
            locked = (self._folder / f"{name}.lock").open("ab")
        except OSError as error:
            log.warning("files.folder_unusable", folder=str(self._folder), why=str(error))
            return None
        try:
            fcntl.flock(locked, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # the one before may have removed the very file that we had opened already
            if os.path.samestat(os.fstat(locked.fileno()), Path(locked.name).stat()):
                return locked
        except OSError:
            pass
        locked.close()
        return None

    def _given_back(self, name: str, locked: IO[bytes], *, keep: bool) -> None:
        if not keep:
            for left in self._folder.glob(f"{name}*"):
                left.unlink(missing_ok=True)
        locked.close()

    def _tidy(self) -> None:
        """Remove what nobody went on with for a day."""
        now = time.time()
        if self._tidied_at is not None and now - self._tidied_at < TIDIED_EVERY_S:
            return
        self._tidied_at = now
        for left in self._folder.iterdir():
            if now - left.stat().st_mtime > KEPT_S:
                left.unlink(missing_ok=True)
