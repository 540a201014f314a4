"""`connector export`: a project's whole history as JSON Lines with a manifest."""

import hashlib
import json
import shutil
import zipfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import IO
from urllib.parse import quote

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from connector.history import PARTS, Part
from connector.reaching import ask_postgres
from services.postgres import Postgres, Snapshot

FORMAT = 1
MANIFEST = "manifest.json"
# Who connected what is the token service's; a project it never heard of has no history.
KNOWN = "SELECT now() FROM authority.connections WHERE project_id = $1"

OpenFile = Callable[[str], AbstractContextManager[IO[bytes]]]
"""Opens a file of the export, by name, to be written from front to back."""


@click.command()
@click.argument("project_id")
@click.option(
    "--to",
    "target",
    type=click.Path(path_type=Path),
    help="A folder to be made, or a ZIP where the name ends in .zip. "
    "Default: PROJECT_ID and the date, as a ZIP, here.",
)
def export(project_id: str, target: Path | None) -> None:
    """Write a project's whole history: what was mirrored, returned, proven, held and compared.

    One JSON Lines file for each kind of row, and manifest.json with how many rows each has and its
    SHA-256, all as of one moment. Private records are in it, so only you may read what is made.
    There is no secret and no authorization in it; bytes of attachments stay in Part3. Overwrites
    nothing, changes nothing. DATABASE_URL needs the role that migrates, as it reads both schemas.

    \b
    Example: connector export prj_42 --to prj_42.zip
    """  # noqa: D301 - click keeps the lines after its mark
    if target is None:
        target = Path(f"{quote(project_id, safe='')}-{datetime.now(UTC):%Y-%m-%d}.zip")
    manifest = ask_postgres(lambda postgres: write_history(postgres, project_id, target))
    rows = sum(int(one["rows"]) for one in manifest)
    click.echo(f"{target}: {rows} rows in {len(manifest)} files, and {MANIFEST}.")


async def write_history(
    postgres: Postgres, project_id: str, target: Path
) -> list[dict[str, str | int]]:
    """Write a project's history to a folder or ZIP that does not exist yet.

    Returns:
        name, what, rows, bytes and sha256 of each file.

    Raises:
        click.ClickException: the project is not known, or its files cannot be written.
        TryLater: Postgres is away.
    """
    async with postgres.snapshot() as snapshot:
        as_of: datetime | None = await snapshot.fetchval(KNOWN, project_id)
        if as_of is None:
            raise click.ClickException(f"no project {project_id!r} was ever connected here")
        with _faults_named(target), _whole_or_not_at_all(target) as open_file:
            written = await _write_parts(snapshot, project_id, open_file)
            manifest = {
                "format": FORMAT,
                "project_id": project_id,
                "as_of": as_of.isoformat(),
                "made_by": f"part3-procore-connector {version('part3-procore-connector')}",
                "files": written,
            }
            with open_file(MANIFEST) as file:
                file.write(json.dumps(manifest, indent=2, ensure_ascii=False).encode() + b"\n")
    return written


async def _write_parts(
    snapshot: Snapshot, project_id: str, open_file: OpenFile
) -> list[dict[str, str | int]]:
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    written: list[dict[str, str | int]] = []
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as progress:
        bar = progress.add_task("counting", total=None)
        for part in PARTS:
            total = None
            if console.is_terminal:
                count = f"SELECT count(*) FROM ({part.sql}) counted"  # noqa: S608 - of history.py
                total = await snapshot.fetchval(count, project_id)
            progress.update(bar, description=part.name, total=total, completed=0)
            lines = _lines(snapshot, part, project_id)
            with open_file(f"{part.name}.jsonl") as file:
                found = await _write_lines(lines, file, lambda: progress.advance(bar))
            written.append({"name": f"{part.name}.jsonl", "what": part.what, **found.as_json()})
    return written


async def _lines(snapshot: Snapshot, part: Part, project_id: str) -> AsyncIterator[bytes]:
    async for row in snapshot.rows(part.sql, project_id):
        yield str(row["line"]).encode() + b"\n"


@dataclass(frozen=True, slots=True)
class Written:
    """What a file came to."""

    rows: int
    size: int
    sha256: str

    def as_json(self) -> dict[str, str | int]:
        """Return it as the manifest has it."""
        return {"rows": self.rows, "bytes": self.size, "sha256": self.sha256}


async def _write_lines(
    lines: AsyncIterator[bytes], file: IO[bytes], advance: Callable[[], None]
) -> Written:
    rows, size, digest = 0, 0, hashlib.sha256()
    async for line in lines:
        file.write(line)
        digest.update(line)
        rows, size = rows + 1, size + len(line)
        advance()
    return Written(rows, size, digest.hexdigest())


@contextmanager
def _faults_named(target: Path) -> Iterator[None]:
    """Say what cannot be written, before a snapshot takes it for a fault of Postgres."""
    try:
        yield
    except (TimeoutError, ConnectionError):  # these are Postgres's
        raise
    except OSError as error:
        message = f"{error.filename or target} cannot be written: {error.strerror}"
        raise click.ClickException(message) from error


@contextmanager
def _whole_or_not_at_all(target: Path) -> Iterator[OpenFile]:
    """Write beside the target under another name, and give it its own once all of it is there."""
    if target.exists():
        raise click.ClickException(f"{target} is there already: nothing was written")
    partial = target.with_name(f"{target.name}.partial")
    zipped = target.suffix == ".zip"
    try:
        if zipped:
            partial.touch(mode=0o600, exist_ok=False)
        else:
            partial.mkdir(mode=0o700)
    except FileExistsError as error:
        raise click.ClickException(
            f"{partial} is there: another export writes it, or one was ended; remove it first"
        ) from error
    try:
        if zipped:
            with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
                yield lambda name: archive.open(name, "w", force_zip64=True)
        else:
            yield lambda name: (partial / name).open("xb")
        partial.rename(target)
    except BaseException:  # Ctrl-C too: what is not whole is of no use to anybody
        if partial.is_dir():
            shutil.rmtree(partial)
        else:
            partial.unlink(missing_ok=True)
        raise
