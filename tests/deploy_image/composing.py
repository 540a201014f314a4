"""docker-compose.yml and docs/configuration.md, read for the tests."""

import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
OWNERS_OF_LETTERS = {"G": "webhook_gateway", "T": "token_service", "W": "sync_worker"}
Service = dict[str, Any]


def compose() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return read


def services() -> dict[str, Service]:
    found: dict[str, Service] = compose()["services"]
    return found


def program_of(service: Service) -> str:
    """The package a service runs, or nothing."""
    command = service.get("command", [])
    return command[2] if command[:2] == ["python", "-m"] else ""


def ours() -> dict[str, Service]:
    """Services that run our image: programs, jobs and the operators' command."""
    named = {"part3-procore-connector:0.1.0"}
    return {name: one for name, one in services().items() if one["image"] in named}


def standins() -> dict[str, Service]:
    return {n: one for n, one in services().items() if "sandbox" in one["image"]}


def documented() -> dict[str, tuple[set[str], bool]]:
    """Each variable of docs/configuration.md: the packages that read it, and whether it must be."""
    rows = re.findall(
        r"^\| (`.+?) \| (.+?) \| (.+?) \|",
        (ROOT / "docs" / "configuration.md").read_text(),
        re.MULTILINE,
    )
    variables: dict[str, tuple[set[str], bool]] = {}
    for names, letters, default in rows:
        readers = {OWNERS_OF_LETTERS[x] for x in letters.split() if x in OWNERS_OF_LETTERS}
        for name in re.findall(r"`([A-Z0-9_]+)`", names):
            # later tables speak of the same variables again, such as how a key is rotated
            everybody = set(OWNERS_OF_LETTERS.values())
            variables.setdefault(name, (readers or everybody, default == "required"))
    return variables


def environment_of(service: Service) -> dict[str, str]:
    """What a service is given, `${NAME:-default}` read as its default."""
    given: dict[str, str] = service.get("environment", {})
    return {
        name: re.sub(r"\$\{[A-Z0-9_]+:-([^}]*)\}", r"\1", str(value))
        for name, value in given.items()
    }
