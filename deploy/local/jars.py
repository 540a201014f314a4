"""Apache Kafka's jars from Maven Central by jgo, each checked against the hash pinned for it.

`kafka-jars.txt` names every jar with its size and SHA-256. So a first start asks for nothing but
the jars themselves, knows how far it is, and runs exactly what was tried here.

MAVEN_MIRROR_URL, where set, is asked instead of Maven Central.

Write that file anew:  python -m deploy.local.jars
"""

import contextlib
import fcntl
import hashlib
import os
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import requests
import truststore
from jgo.maven import MavenContext, PythonResolver

from deploy.local.progress import Progress

KAFKA_VERSION = "4.1.2"
_WANTED = (
    f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}",
    "org.slf4j:slf4j-simple:1.7.36",  # Kafka's own slf4j, and a binding that writes to stderr
)
_LOCK_FILE = Path(__file__).with_name("kafka-jars.txt")
_AT_ONCE = 4
_ATTEMPTS = 3
_TIMEOUT_S = 30
_POLL_S = 0.2


class DownloadFailed(Exception):  # noqa: N818  # says what happened, as in services.errors
    """A jar could not be had, or is not the one that was pinned."""


@dataclass(frozen=True, kw_only=True)
class Jar:
    """A jar by its Maven coordinates, with what it has to be."""

    group: str
    name: str
    version: str
    size: int  # bytes
    sha256: str  # hex

    def path_below(self, repository: Path) -> Path:
        """Return where a Maven repository keeps it."""
        folder = repository / self.group.replace(".", "/") / self.name / self.version
        return folder / f"{self.name}-{self.version}.jar"


def pinned_jars() -> list[Jar]:
    """Return the jars of `kafka-jars.txt`."""
    jars = []
    for line in _LOCK_FILE.read_text().splitlines():
        if line and not line.startswith("#"):
            coordinates, size, sha256 = line.split()
            group, name, version = coordinates.split(":")
            jar = Jar(group=group, name=name, version=version, size=int(size), sha256=sha256)
            jars.append(jar)
    return jars


def kafka_class_path(cache: Path, given_up: threading.Event) -> list[Path]:
    """Return Kafka's jars, downloaded into `cache` if they are not there yet; see `fetch_jars`."""
    return fetch_jars(pinned_jars(), cache, given_up)


def fetch_jars(jars: list[Jar], cache: Path, given_up: threading.Event) -> list[Path]:
    """Return where the jars are, after downloading those that are not there yet.

    Args:
        jars: what is wanted.
        cache: a folder that runs share.
        given_up: set by the caller to end a download that nobody waits for any more.

    Raises:
        DownloadFailed: with the jar and what went wrong, or that it was given up.
    """
    repository = cache / "maven"
    repository.mkdir(parents=True, exist_ok=True)
    with _one_at_a_time(cache, given_up):
        missing = [jar for jar in jars if not _is_there(jar, repository)]
        if missing:
            _download_all(missing, repository, given_up)
    return [jar.path_below(repository) for jar in jars]


@contextlib.contextmanager
def _one_at_a_time(cache: Path, given_up: threading.Event) -> Iterator[None]:
    """Let a second run wait for the download of the first rather than write into it."""
    with (cache / ".lock").open("w") as lock:
        if not _try_lock(lock):
            print("Waiting for another run that is downloading Kafka", file=sys.stderr, flush=True)
            while not _try_lock(lock):
                if given_up.wait(_POLL_S):
                    raise DownloadFailed("given up while another run was downloading Kafka")
        yield


def _try_lock(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_there(jar: Jar, repository: Path) -> bool:
    """Say whether the jar is there; it was moved into its place only when it was whole."""
    path = jar.path_below(repository)
    return path.is_file() and path.stat().st_size == jar.size


def _download_all(jars: list[Jar], repository: Path, given_up: threading.Event) -> None:
    total_bytes = sum(jar.size for jar in jars)
    with (
        _trusting_what_the_system_trusts(),
        tempfile.TemporaryDirectory(dir=repository.parent, prefix="unfinished-") as staging,
        Progress(f"Kafka {KAFKA_VERSION}", len(jars), total_bytes) as progress,
        ThreadPoolExecutor(_AT_ONCE) as pool,
    ):

        def note(count: int) -> None:
            if given_up.is_set():
                raise DownloadFailed("given up")
            progress.add_bytes(count)

        waiting = [pool.submit(_download, jar, Path(staging), repository, note) for jar in jars]
        try:
            for done in as_completed(waiting):
                done.result()
                progress.add_file()
        except BaseException:
            given_up.set()
            pool.shutdown(cancel_futures=True)
            raise


@contextlib.contextmanager
def _trusting_what_the_system_trusts() -> Iterator[None]:
    """Check certificates as the machine's own tools do.

    By itself the client knows only the list it was shipped with, and not the authority of a
    company whose proxy opens what leaves the building.
    """
    truststore.inject_into_ssl()
    try:
        yield
    finally:
        truststore.extract_from_ssl()


def _download(jar: Jar, staging: Path, repository: Path, note: Callable[[int], None]) -> None:
    """Bring one jar, whole and checked, to its place."""
    for attempt in range(1, _ATTEMPTS + 1):
        folder = staging / f"{jar.group}-{jar.name}-{attempt}"
        try:
            path = _fetch(jar, folder, note)
        except (requests.RequestException, RuntimeError, OSError) as error:
            if attempt == _ATTEMPTS:
                raise DownloadFailed(
                    f"{jar.group}:{jar.name}:{jar.version} could not be downloaded ({error}); "
                    "look at the network and run the command again"
                ) from error
            continue
        if hashlib.sha256(path.read_bytes()).hexdigest() != jar.sha256:
            raise DownloadFailed(
                f"{jar.group}:{jar.name}:{jar.version} is not the file that {_LOCK_FILE.name} "
                "pins: its SHA-256 differs"
            )
        place = jar.path_below(repository)
        place.parent.mkdir(parents=True, exist_ok=True)
        path.replace(place)
        return


def _fetch(jar: Jar, folder: Path, note: Callable[[int], None]) -> Path:
    @contextlib.contextmanager
    def counted(_file_name: str, _size: int) -> Iterator[Callable[[int], None]]:
        yield note

    context = _context(folder, PythonResolver(progress_callback=counted))
    component = context.project(jar.group, jar.name).at_version(jar.version)
    return Path(component.artifact().resolve())


def _context(repository: Path, resolver: PythonResolver) -> MavenContext:
    mirror = os.environ.get("MAVEN_MIRROR_URL", "").rstrip("/")
    return MavenContext(
        resolver=resolver,
        repo_cache=repository,
        local_repos=[],
        remote_repos={"mirror": mirror} if mirror else None,
        timeout=_TIMEOUT_S,
    )


def _pin() -> None:
    """Resolve Kafka and all it needs, and write `kafka-jars.txt`."""
    with _trusting_what_the_system_trusts(), tempfile.TemporaryDirectory() as folder:
        context = _context(Path(folder), PythonResolver())
        print("Resolving", *_WANTED)
        inputs, needed = context.resolver.resolve(
            [context.create_dependency(coordinates) for coordinates in _WANTED]
        )
        lines = []
        for dependency in [*inputs, *needed]:
            if dependency.scope in {None, "compile", "runtime"}:
                content = Path(dependency.artifact.resolve()).read_bytes()
                coordinates = f"{dependency.groupId}:{dependency.artifactId}:{dependency.version}"
                print(coordinates)
                lines.append(
                    f"{coordinates} {len(content)} {hashlib.sha256(content).hexdigest()}\n"
                )
    head = "# Written by `python -m deploy.local.jars`: coordinates, bytes, SHA-256.\n"
    _LOCK_FILE.write_text(head + "".join(sorted(lines)))


if __name__ == "__main__":
    _pin()
