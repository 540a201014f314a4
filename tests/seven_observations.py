"""Integration Health's seven observations, found in the stand-in's ledger of calls.

Nothing of ours is asked: what is documented, and which version of it, is read from the contract.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from tests.conformity.contracts import contract

OBSERVATIONS = (
    "unauthorized",
    "forbidden_again",
    "not_found",
    "rate_limited",
    "no_company_header",
    "deprecated",
    "undocumented",
)
BY_STATUS = {401: "unauthorized", 404: "not_found", 429: "rate_limited"}
FOR_A_PERSON_ALONE = ("/rest/v1.0/me", "/rest/v1.0/companies")
OURS = re.compile(r"/rest/|/fas/|/oauth/(?:token|revoke)$")
"""People in browsers call the stand-in too, but none of these."""

VERSIONED = re.compile(r"/rest/v(\d+\.\d+)(/.*)")


def calls_on_the_api(calls: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the rows of calls that reached the API and were answered."""
    return [call for call in calls if call["path"].startswith("/rest/") and call["status"]]


def observed_in(calls: Iterable[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Return under each observation's name the calls of ours that it counts, oldest first."""
    found: dict[str, list[str]] = {name: [] for name in OBSERVATIONS}
    newest, templates = _documented()
    forbidden: set[tuple[Any, ...]] = set()
    for call in calls:
        method, path, status = call["method"], call["path"], call["status"]
        if OURS.match(path) is None or status is None:
            continue
        told = f"{method} {path}: {status}"
        if status in BY_STATUS:
            found[BY_STATUS[status]].append(told)
        if not call["company_id"] and path.startswith("/rest/") and path not in FOR_A_PERSON_ALONE:
            found["no_company_header"].append(told)
        if word := _standing(path, newest, templates):
            found[word].append(told)
        key = (method, path, call["user_id"])
        if status == 403 and key in forbidden:
            found["forbidden_again"].append(told)
        (forbidden.add if status == 403 else forbidden.discard)(key)
    return found


def _documented() -> tuple[list[tuple[str, float]], list[re.Pattern[str]]]:
    """Return each documented path without its version beside that version, and all as patterns."""
    paths = [re.sub(r"\{\w+\}", "{}", path) for path in contract("procore")["paths"]]
    versioned = [found for path in paths if (found := VERSIONED.fullmatch(path))]
    newest = [(found[2], float(found[1])) for found in versioned]
    return newest, [re.compile(re.escape(path).replace(r"\{\}", "[^/]+")) for path in paths]


def _standing(
    path: str, newest: list[tuple[str, float]], templates: list[re.Pattern[str]]
) -> str | None:
    """Return `deprecated` where a newer version is documented, or this is not documented at all."""
    if any(template.fullmatch(path) for template in templates):
        return None
    asked = VERSIONED.fullmatch(path)
    if asked is None:
        return None  # where a file lies, as Procore said
    tail = re.sub(r"/\d+(?=/|$)", "/{}", asked[2])
    newer = any(known.endswith(tail) and version > float(asked[1]) for known, version in newest)
    return "deprecated" if newer else "undocumented"
