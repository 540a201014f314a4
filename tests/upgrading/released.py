"""What a release asks of the database, kept so that the next one can be held to it.

`python -m tests.upgrading.released 0.2.0` writes `0.2.0.json` beside this module, at each release:
its migrations by their hash, and the SQL statements of its programs.
"""

import hashlib
import importlib
import pkgutil
import re
import sys
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import msgspec

OWNERS = ("token_service", "sync_worker")
PACKAGES = (*OWNERS, "services")
A_STATEMENT = re.compile(
    r"\s*(?:WITH|SELECT|INSERT|UPDATE|DELETE)\b[^{]*\b(?:mirror|authority)\.[^{]*$"
)
PARTS = ("sync_worker.outbound.delivery_store EARLIER_UNDER_WAY",)
"""Of other statements, and none by themselves."""

FOLDER = Path(__file__).parent


class Released(msgspec.Struct):
    """A release as the database sees it.

    Attributes:
        migrations: SHA-256 of each file, by `owner/name`.
        statements: SQL with `$n` parameters, by `module NAME`.
    """

    migrations: dict[str, str]
    statements: dict[str, str]


def migrations() -> dict[str, str]:
    """Return each migration's SQL by `owner/name`, in their order."""
    return {
        f"{owner}/{entry.name}": entry.read_text(encoding="utf-8")
        for owner in OWNERS
        for entry in sorted(
            (resources.files(owner) / "migrations").iterdir(), key=lambda entry: entry.name
        )
        if entry.name.endswith(".sql")
    }


def hash_of(sql: str) -> str:
    """Return the SHA-256 of a migration, in hex."""
    return hashlib.sha256(sql.encode()).hexdigest()


def statements() -> dict[str, str]:
    """Return the statements of the programs that stand in constants."""
    found = {
        f"{module} {name}": value
        for module in _modules()
        for name, value in vars(importlib.import_module(module)).items()
        if isinstance(value, str) and A_STATEMENT.match(value)
    }
    return {name: sql for name, sql in found.items() if name not in PARTS}


def _modules() -> Iterator[str]:
    for package in PACKAGES:
        path = importlib.import_module(package).__path__
        for module in pkgutil.walk_packages(path, f"{package}."):
            if not module.name.endswith("__main__"):
                yield module.name


def releases() -> dict[str, Released]:
    """Return what was kept of each release, by version."""
    return {
        path.stem: msgspec.json.decode(path.read_bytes(), type=Released)
        for path in sorted(FOLDER.glob("*.json"))
    }


if __name__ == "__main__":
    kept = Released({name: hash_of(sql) for name, sql in migrations().items()}, statements())
    written = msgspec.json.format(msgspec.json.encode(kept), indent=1)
    _ = (FOLDER / f"{sys.argv[1]}.json").write_bytes(written + b"\n")
