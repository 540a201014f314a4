"""Writes the secrets that docker-compose.yml mounts, each in a file of its own, once.

What is there stays as it is: to replace a secret, write its file anew. The folder is for its owner
alone; the files in it can be read by all, as a container that runs as another user mounts each
file and never sees the folder. Needs nothing but the standard library.

Usage: python3 deploy/compose/make_secrets.py [FOLDER]
"""

import base64
import os
import secrets
import sys
from collections.abc import Callable
from pathlib import Path

FOLDER = Path(__file__).resolve().parent / "secrets"
FOLDER_MODE, FILE_MODE = 0o700, 0o444
KEY_BYTES = 32
DATABASE = "postgres:5432/connector"


class NotSafe(Exception):  # noqa: N818 - says what is the matter
    """The folder cannot keep a secret."""


def new_key(name: str) -> Callable[[], str]:
    """Return what makes a key ring of one key, `id:base64`."""
    return lambda: f"{name}:{_base64()}"


def _base64() -> str:
    return base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()


def _password() -> str:
    return secrets.token_hex(KEY_BYTES)  # hex, so that it stands in a URL as it is


MADE: dict[str, Callable[[], str]] = {
    "postgres_password": _password,
    "postgres_migrate_password": _password,
    "postgres_token_password": _password,
    "postgres_worker_password": _password,
    "webhook_secret_keys": new_key("w1"),
    "part3_webhook_secrets": lambda: f"whsec_{_base64()}",
    "token_encryption_keys": new_key("t1"),
    "part3_launch_keys": new_key("l1"),
    "internal_api_keys": new_key("i1"),
    "procore_client_secret": lambda: secrets.token_urlsafe(KEY_BYTES),
    "part3_api_token": lambda: secrets.token_urlsafe(KEY_BYTES),
}
ROLES = ("migrate", "token", "worker")


def write_secrets(folder: Path) -> list[str]:
    """Write what is missing in `folder` and return the names written.

    Raises:
        NotSafe: the folder is a link, somebody else's, or open to others.
    """
    folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    _refuse_unsafe(folder)
    written = [name for name, make in MADE.items() if _write(folder / name, make())]
    for role in ROLES:
        password = (folder / f"postgres_{role}_password").read_text(encoding="ascii").strip()
        name = f"{role}_database_url"
        url = f"postgresql://connector_{role}:{password}@{DATABASE}"
        written += [name] if _write(folder / name, url) else []
    return written


def _refuse_unsafe(folder: Path) -> None:
    if folder.is_symlink():
        message = f"{folder} is a link: name the folder itself"
        raise NotSafe(message)
    found = folder.stat()
    if found.st_uid != os.geteuid() or found.st_mode & 0o077:
        message = f"{folder} must be yours and closed to others: chmod 700 {folder}"
        raise NotSafe(message)


def _write(path: Path, value: str) -> bool:
    """Write a new file whole or not at all; say whether it was missing."""
    if path.exists():
        return False
    half = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(value + "\n")
        file.flush()
        os.fsync(file.fileno())
        os.fchmod(file.fileno(), FILE_MODE)
    half.replace(path)
    return True


def main() -> int:
    """Write the secrets; 1 when the folder cannot keep them."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    try:
        written = write_secrets(folder)
    except NotSafe as error:
        print(error, file=sys.stderr)
        return 1
    kept = len(MADE) + len(ROLES) - len(written)
    print(f"{len(written)} secrets written to {folder}, {kept} were there and stay as they are.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
