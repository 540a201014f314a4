"""`make advisories`: asks the OSV database whether a pinned release has a known flaw.

Leaves this machine, so `make test` does not run it: run it daily, and before a release. Ends with 0
when nothing is known, with another code when something is, or when the database cannot be asked.
The lock files are given to `uv audit` as the lock of a project that nobody builds: no package
registry is asked.
"""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCKS = ("requirements.lock", "requirements.runtime.lock", "requirements.sandbox.lock")
PINNED = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", re.MULTILINE)
NOWHERE = "http://127.0.0.1:9/simple"  # nobody listens there: uv goes on without it
PROJECT = '[project]\nname = "all-that-is-pinned"\nversion = "0"\nrequires-python = ">=3.11"\n'


def pinned() -> list[tuple[str, str]]:
    """Return name and version of every release in the lock files, each once."""
    texts = ((ROOT / lock).read_text(encoding="utf-8") for lock in LOCKS)
    return sorted({found for text in texts for found in PINNED.findall(text)})


def ask(packages: Sequence[tuple[str, str]], *options: str) -> int:
    """Ask about some releases, by name and version; return uv's exit code.

    Args:
        packages: names and versions.
        options: of `uv audit`, e.g. `--service-url`.
    """
    with tempfile.TemporaryDirectory(prefix="advisories-") as folder:
        project, lock = Path(folder) / "pyproject.toml", Path(folder) / "uv.lock"
        project.write_text(PROJECT, encoding="utf-8")
        lock.write_text(_lock_of(packages), encoding="utf-8")
        once = os.environ | {"UV_HTTP_RETRIES": "0"}
        command = ("audit", "--frozen", "--preview-features", "audit-command", *options)
        ended = subprocess.run(
            [sys.executable, "-m", "uv", *command], cwd=folder, env=once, check=False
        )
    return ended.returncode


def _lock_of(packages: Sequence[tuple[str, str]]) -> str:
    whole = [
        (f'name = "{name}"', f'version = "{version}"', f'source = {{ registry = "{NOWHERE}" }}')
        for name, version in packages
    ]
    uses = "".join(f"    {{ {', '.join(parts)} }},\n" for parts in whole)
    own = (
        'name = "all-that-is-pinned"\nversion = "0"\nsource = { virtual = "." }\n'
        f"dependencies = [\n{uses}]"
    )
    others = ("\n".join(parts) for parts in whole)
    head = 'version = 1\nrevision = 3\nrequires-python = ">=3.11"\n\n'
    return head + "".join(f"[[package]]\n{one}\n\n" for one in (own, *others))


if __name__ == "__main__":
    sys.exit(ask(pinned(), *sys.argv[1:]))
