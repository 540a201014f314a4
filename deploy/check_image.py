"""Follows deploy/Dockerfile in a clean folder, without a docker engine, and tries what it makes.

Every COPY and RUN of the stages that install something is done as written, its paths moved into
the folder; what makes the user is not, as that would make one on this machine. Then the programs
are run from there, by another user where we may, on a tree that nobody may write.

It cannot show what only an engine can: that the base image exists under its tag, that its Python
behaves as the one here, and that the container's limits are kept.

Usage: python -m deploy.check_image
"""

import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.dockerfile import Stage, Step, context_files, line_of, read_stages

ROOT = Path(__file__).resolve().parents[1]
UID = 10001
INSTALLED = "/opt/connector"
EX_CONFIG = 78
PROGRAMS = ("webhook_gateway", "token_service", "sync_worker")
EXTRAS_ONLY = "connector.demo."  # needs the extras `demo`, which no image has
RUN_TIMEOUT_S = 600
WALK = """
import importlib, pkgutil, sys
failed = []
for name in sys.argv[2:]:
    package = importlib.import_module(name)
    for module in pkgutil.walk_packages(package.__path__, name + "."):
        if module.name.startswith(sys.argv[1]):
            continue
        try:
            importlib.import_module(module.name)
        except ImportError as error:
            failed.append(f"{module.name}: {error}")
print("\\n".join(failed))
sys.exit(bool(failed))
"""


class CheckFailed(Exception):  # noqa: N818 - says what happened
    """The image would not do what it is for."""


class Followed:
    """A folder that stands for the root of an image."""

    def __init__(self, folder: Path, python: str) -> None:
        self.folder = folder
        self.python = python
        self.ignore = (ROOT / ".dockerignore").read_text()
        self.copied: list[Path] = []

    def at(self, path: str) -> Path:
        """Return where a path of the image lies here."""
        return self.folder / path.lstrip("/")

    def follow(self, stages: list[Stage]) -> None:
        """Do what the stages say, in order. Raises CheckFailed at the first step that fails."""
        for stage in stages:
            for step in stage.steps:
                if step.keyword == "COPY":
                    self.copy(step)
                elif step.keyword == "RUN":
                    self.run(step)

    def copy(self, step: Step) -> None:
        """Copy from the context, through .dockerignore."""
        *sources, target = step.words
        for source in sources:
            taken = context_files(ROOT, self.ignore, source)
            inside = (ROOT / source).is_dir()
            for path in taken:
                end = self.at(target)
                if inside:
                    end /= path.relative_to(source)
                elif target.endswith("/"):
                    end /= path.name
                end.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ROOT / path, end)
            self.copied += taken

    def run(self, step: Step) -> None:
        """Run a command, its paths moved here."""
        words = step.words if step.is_json else ["/bin/sh", "-euc", step.rest]
        moved = [re.sub(r"(?<![\w/])/(opt|src)(?=[/\s]|$)", f"{self.folder}/\\1", w) for w in words]
        command = [self.python if word == "python" else word for word in moved]
        shown = step.rest if not step.is_json else " ".join(words)
        print(f"    RUN {shown[:110]}", flush=True)
        quiet = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_ROOT_USER_ACTION": "ignore"}
        done = subprocess.run(
            command,
            env=clean_environment(os.environ, PATH="/usr/local/bin:/usr/bin:/bin", **quiet),
            capture_output=True,
            text=True,
            timeout=RUN_TIMEOUT_S,
            check=False,
        )
        if done.returncode != 0:
            message = f"RUN {shown} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
            raise CheckFailed(message)


def clean_environment(given: os._Environ[str], **more: str) -> dict[str, str]:
    """Return what pip needs of these surroundings to find its index, and nothing of Python's."""
    kept = ("PIP_", "SSL_CERT_", "REQUESTS_CA_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "HOME")
    return {name: value for name, value in given.items() if name.upper().startswith(kept)} | more


class Image:
    """What was followed, to be tried."""

    def __init__(self, followed: Followed, user: int | None) -> None:
        self.user = user
        self.installed = followed.at(INSTALLED)
        self.copied = followed.copied
        self.scratch = followed.folder / "tmp"
        self.scratch.mkdir(mode=0o1777)
        self.scratch.chmod(0o1777)  # past the umask

    def call(self, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the image as its user would, with these variables and no others."""
        environment = {
            "PATH": f"{self.installed / 'bin'}:/usr/bin:/bin",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONSAFEPATH": "1",
            "TMPDIR": str(self.scratch),
            **variables,
        }
        return subprocess.run(
            [str(self.installed / "bin" / command[0]), *command[1:]],
            cwd=self.scratch,
            env=environment,
            capture_output=True,
            text=True,
            timeout=RUN_TIMEOUT_S,
            check=False,
            user=self.user,
            group=self.user,
            extra_groups=None if self.user is None else [],
        )

    def expect(self, code: int, *command: str, says: tuple[str, ...] = ()) -> None:
        """Run a command; raise CheckFailed unless it ends so and says so."""
        done = self.call(*command)
        said = done.stdout + done.stderr
        missing = [words for words in says if words not in said]
        if done.returncode != code or missing:
            message = (
                f"{' '.join(command)} ended with {done.returncode}, {code} was expected"
                f"{f', and did not say {missing}' if missing else ''}:\n{said}"
            )
            raise CheckFailed(message)
        shown = " ".join(command).strip().replace("\n", " ")
        print(f"    {shown[:70]} -> {code}", flush=True)

    def listing(self) -> dict[str, tuple[int, int]]:
        """Return size and time of change of every file, to see whether one was written."""
        return {
            str(path): (path.lstat().st_size, path.lstat().st_mtime_ns)
            for path in self.installed.rglob("*")
        }

    def packages(self) -> Path:
        """Return the folder that the packages lie in."""
        (found,) = self.installed.glob("lib/python3*/site-packages")
        return found

    def lock_tree(self) -> None:
        """Take away everybody's right to write."""
        for path in (self.installed, *self.installed.rglob("*")):
            if not path.is_symlink():
                path.chmod(stat.S_IMODE(path.stat().st_mode) & ~0o222)

    def unlock_tree(self) -> None:
        """Let the owner remove it again."""
        for path in (self.installed, *self.installed.rglob("*")):
            if path.is_dir() and not path.is_symlink():
                path.chmod(0o755)


def check_files(image: Image, packages: tuple[str, ...]) -> None:
    """Every file of the copied packages must have been installed, templates and SQL too."""
    files = [path for path in image.copied if path.parts[0] in packages]
    missing = [str(path) for path in files if not (image.packages() / path).is_file()]
    if missing:
        message = f"copied and not installed (package-data in pyproject.toml?): {missing}"
        raise CheckFailed(message)
    print(f"    {len(files)} files of {', '.join(packages)} are installed", flush=True)


def check_connector(image: Image) -> None:
    """The three programs and the command: imported whole, and refusing to run unset."""
    check_files(image, (*PROGRAMS, "services", "schemas", "connector"))
    names = (*PROGRAMS, "services", "schemas", "connector")
    image.expect(0, "python", "-c", WALK, EXTRAS_ONLY, *names)
    for program in PROGRAMS:
        required = required_of(program)
        image.expect(EX_CONFIG, "python", "-m", program, says=tuple(required))
    image.expect(0, "connector", "--help", says=("migrate", "topics", "doctor"))
    image.expect(0, "connector", "--version")
    image.expect(EX_CONFIG, "connector", "migrate", says=("DATABASE_URL is not set",))
    image.expect(EX_CONFIG, "connector", "topics", says=("KAFKA_BOOTSTRAP_SERVERS is not set",))
    image.expect(1, "connector", "demo", says=("needs its extras",))
    image.expect(1, "python", str(image.installed / "healthcheck.py"), says=("no answer",))
    for absent in ("pip", "setuptools", "sandbox", "deploy", "pytest"):
        image.expect(1, "python", "-c", f"import {absent}", says=("ModuleNotFoundError",))


def check_sandbox(image: Image) -> None:
    """The stand-ins: imported whole; Part3's refuses to run unset."""
    check_files(image, ("sandbox",))
    image.expect(0, "python", "-c", WALK, EXTRAS_ONLY, "sandbox")
    image.expect(EX_CONFIG, "python", "-m", "sandbox.part3", says=("PART3_API_TOKEN: not set",))
    image.expect(0, "python", "-m", "sandbox.procore", "--help")
    for absent in ("pip", "setuptools", "connector", "services"):
        image.expect(1, "python", "-c", f"import {absent}", says=("ModuleNotFoundError",))


def required_of(program: str) -> list[str]:
    """Return what docs/configuration.md calls required for a program."""
    letter = {"webhook_gateway": "G", "token_service": "T", "sync_worker": "W"}[program]
    text = (ROOT / "docs" / "configuration.md").read_text()
    rows = re.findall(r"^\| (.+?) \| ([GTW ]+) \| required \|", text, re.MULTILINE)
    return [
        name
        for names, readers in rows
        if letter in readers.split()
        for name in re.findall(r"`([A-Z0-9_]+)`", names)
    ]


def base_python() -> tuple[str, int | None]:
    """Return a Python for the image and the user to run as; None is ourselves.

    Somebody else's Python must lie where that user may go, which one below a home does not.
    """
    ours = str(Path(sys.base_prefix) / "bin" / "python3")
    if os.geteuid() != 0:
        return ours, None
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for candidate in (ours, f"/usr/local/bin/{version}", f"/usr/bin/{version}"):
        if _works_for_another(candidate):
            return candidate, UID
    return ours, None


def _works_for_another(python: str) -> bool:
    asked = [python, "-c", "import ensurepip, venv"]
    try:
        done = subprocess.run(
            asked, user=UID, group=UID, extra_groups=[], cwd="/", capture_output=True, check=False
        )
    except OSError:
        return False
    return done.returncode == 0


@contextmanager
def followed(build: str, python: str, user: int | None) -> Iterator[Image]:
    """Follow the stages up to `build` in a folder that is gone afterwards."""
    stages = read_stages((ROOT / "deploy" / "Dockerfile").read_text())
    with tempfile.TemporaryDirectory(prefix="image-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        steps = Followed(folder, python)
        steps.follow(line_of(stages, build))
        image = Image(steps, user)
        image.lock_tree()
        before = image.listing()
        try:
            yield image
            if image.listing() != before:
                raise CheckFailed("the image's tree was written to while its programs ran")
            if left := sorted(image.scratch.rglob("*.pyc")):
                message = f"byte code was written: {left}"
                raise CheckFailed(message)
            print("    nothing was written into the image", flush=True)
        finally:
            image.unlock_tree()


def main() -> int:
    """0 when both images would do what they are for, 1 with the reason when not."""
    python, user = base_python()
    print(f"In place of the base image: {python}. Run as: {user or 'this user'}.", flush=True)
    try:
        for build, check in (("build", check_connector), ("build-sandbox", check_sandbox)):
            print(f"==> {build}: as deploy/Dockerfile says", flush=True)
            with followed(build, python, user) as image:
                print(f"==> {build}: what it made", flush=True)
                check(image)
    except (CheckFailed, FileNotFoundError) as error:
        print(f"FAILED: {error}", file=sys.stderr)
        return 1
    print("Both images hold what they need, as far as can be told without a docker engine.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
