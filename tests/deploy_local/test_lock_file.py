import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
LOCK = (ROOT / "requirements.lock").read_text()


def pinned() -> dict[str, set[Version]]:
    versions: dict[str, set[Version]] = {}
    for name, version in re.findall(r"^([A-Za-z0-9_.-]+)==([^ ;\\]+)", LOCK, re.MULTILINE):
        versions.setdefault(canonicalize_name(name), set()).add(Version(version))
    return versions


def wanted() -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    return [Requirement(each) for group in groups for each in group]


def test_the_lock_file_pins_all_that_the_project_names() -> None:
    versions = pinned()
    unmet = [
        str(each)
        for each in wanted()
        if not any(
            each.specifier.contains(version, prereleases=True)
            for version in versions.get(canonicalize_name(each.name), ())
        )
    ]
    assert unmet == [], "run `make lock`"


def test_every_package_of_the_lock_file_has_a_hash() -> None:
    entries = re.split(r"^(?=[A-Za-z0-9])", LOCK, flags=re.MULTILINE)[1:]
    assert len(entries) > 50
    assert [entry.splitlines()[0] for entry in entries if "--hash=sha256:" not in entry] == []


def test_the_lock_file_names_no_host() -> None:
    assert "://" not in LOCK
