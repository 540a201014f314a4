"""New token pairs on their way into Postgres: sealed, in files, on the disk before anything else.

An answer of the token endpoint is the only copy of a pair. So it is written here first, survives
the end of this process and of Postgres, and is brought into its row by compare-and-swap.
"""

import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec
import structlog

from token_service.grants.seal import Sealed
from token_service.grants.store import Lease, SealedPair

SUFFIX = ".pair"
HALF_WRITTEN = ".part"
log = structlog.get_logger()


class _Written(msgspec.Struct, frozen=True, kw_only=True):
    """What a file holds; the tokens in it are sealed."""

    user_id: str
    version: int
    attempt: int
    taken_at: datetime
    key_id: str
    access: bytes
    refresh: bytes
    access_fingerprint: str
    refresh_fingerprint: str
    lasts_s: float
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Spooled:
    """A pair that waits for its row."""

    path: Path
    lease: Lease
    pair: SealedPair


class Spool:
    """A folder of this replica's own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, lease: Lease, pair: SealedPair) -> Spooled:
        """Return once the pair is on the disk. Raises OSError when it cannot be."""
        name = f"{lease.attempt}-{secrets.token_hex(4)}"
        path = self._folder / (name + SUFFIX)
        half = self._folder / (name + HALF_WRITTEN)
        descriptor = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(_encode(lease, pair))
            file.flush()
            os.fsync(file.fileno())
        half.rename(path)
        self._sync_folder()
        return Spooled(path, lease, pair)

    def waiting(self) -> Iterator[Spooled]:
        """Yield what waits; a file that cannot be read is set aside, once, with an alarm."""
        for path in sorted(self._folder.glob(f"*{SUFFIX}")):
            try:
                spooled = _decode(path)
            except FileNotFoundError:
                continue  # its writer was faster
            except (OSError, msgspec.MsgspecError) as error:
                log.error("spool.unreadable", file=path.name, error=type(error).__name__)  # noqa: TRY400 - expected kinds
                path.rename(path.with_suffix(".unreadable"))
                continue
            yield spooled

    def remove(self, spooled: Spooled) -> None:
        """Forget a pair whose row has it, or does not want it any more."""
        spooled.path.unlink(missing_ok=True)

    def _sync_folder(self) -> None:
        descriptor = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _encode(lease: Lease, pair: SealedPair) -> bytes:
    return msgspec.json.encode(
        _Written(
            user_id=lease.user_id,
            version=lease.version,
            attempt=lease.attempt,
            taken_at=lease.taken_at,
            key_id=pair.access.key_id,
            access=pair.access.blob,
            refresh=pair.refresh.blob,
            access_fingerprint=pair.access_fingerprint,
            refresh_fingerprint=pair.refresh_fingerprint,
            lasts_s=pair.lasts_s,
            expires_at=pair.expires_at,
        )
    )


def _decode(path: Path) -> Spooled:
    written = msgspec.json.decode(path.read_bytes(), type=_Written)
    lease = Lease(written.user_id, written.version, written.attempt, written.taken_at)
    pair = SealedPair(
        access=Sealed(written.key_id, written.access),
        refresh=Sealed(written.key_id, written.refresh),
        access_fingerprint=written.access_fingerprint,
        refresh_fingerprint=written.refresh_fingerprint,
        lasts_s=written.lasts_s,
        expires_at=written.expires_at,
    )
    return Spooled(path, lease, pair)
