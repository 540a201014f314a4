import ast
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from deploy.local.browser import BrowserMissing, chromium_path

ROOT = Path(__file__).parents[2]


def script(path: Path, code: int) -> None:
    path.write_text(f"#!/bin/sh\nexit {code}\n")
    path.chmod(0o755)


def test_an_installed_chromium_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script(tmp_path / "chromium", 0)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert chromium_path() == tmp_path / "chromium"


def test_a_chromium_that_does_not_start_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(tmp_path / "chromium-browser", 1)
    script(tmp_path / "google-chrome", 0)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert chromium_path() == tmp_path / "google-chrome"


def test_without_a_chromium_it_is_said_how_to_get_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(tmp_path / "chromium", 1)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("deploy.local.browser._FETCHED", tmp_path)
    monkeypatch.setattr("deploy.local.browser._APPLICATIONS", ())
    with pytest.raises(BrowserMissing, match="make setup-browser"):
        chromium_path()


def test_an_old_python_can_read_that_it_is_too_old() -> None:
    source = (ROOT / "deploy/local/environment.py").read_text()
    assert ast.parse(source, feature_version=(3, 7))


def test_make_help_lists_every_command() -> None:
    done = subprocess.run(
        ["make", "help"], cwd=ROOT, capture_output=True, text=True, timeout=30, check=True
    )
    named = {line.split()[1] for line in done.stdout.splitlines() if line.startswith("  make ")}
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(targets) - {"prepare"} == named  # which others begin with
    assert len(targets) == len(set(targets))


def test_no_command_is_taken_for_a_file_of_its_name() -> None:
    asked = ["make", "--print-data-base", "--dry-run", "--no-builtin-rules", "help"]
    done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, timeout=30, check=True)
    (phony,) = re.findall(r"^\.PHONY: (.+)$", done.stdout, re.MULTILINE)
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert sorted(phony.split()) == sorted(targets)


def test_make_says_which_python_is_missing(tmp_path: Path) -> None:
    make = shutil.which("make")
    assert make is not None
    (tmp_path / "Makefile").write_text((ROOT / "Makefile").read_text())
    for needed in ("requirements.lock", "pyproject.toml"):
        (tmp_path / needed).touch()
    done = subprocess.run(
        [make, "setup"],
        cwd=tmp_path,
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 2
    assert "Python 3.11 or newer is needed, and none was found" in done.stderr
