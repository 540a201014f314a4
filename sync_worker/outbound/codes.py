"""From a disposition to the project's own response: never a guess, else a person decides.

Procore's responses are renamable and each project adds its own. A code is a statement with legal
weight, so a response is taken by itself only when its class *and* its name say the same thing.
Source of the words: stamps of the field, domain notes 4.4.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import TypeAlias

from schemas.records import Disposition
from services.procore.models import ResponseOption

CodeMap: TypeAlias = Mapping[Disposition, ResponseOption]

CLASS_OF: dict[Disposition, str] = {
    "proceed": "approved",
    "proceed_as_noted": "approved as noted",
    "revise_resubmit": "revise and resubmit",
    "rejected": "rejected",
    "record_only": "for record only",
}
"""Dispositions that may be mapped without asking, with the class (`considered`) they need."""

NAMES_OF: dict[Disposition, frozenset[str]] = {
    "proceed": frozenset(
        {
            "approved",
            "reviewed",
            "no exceptions taken",
            "no exception taken",
            "furnish as submitted",
        }
    ),
    "proceed_as_noted": frozenset(
        {
            "approved as noted",
            "reviewed as noted",
            "make corrections noted",
            "furnish as corrected",
            "exceptions noted",
        }
    ),
    "revise_resubmit": frozenset(
        {
            "revise and resubmit",
            "amend and resubmit",
            "r and r",
            "reviewed revise and resubmit",
        }
    ),
    "rejected": frozenset({"rejected", "not approved", "submit specified item"}),
    "record_only": frozenset({"for record only", "receipt acknowledged", "for information"}),
}


def code_map(options: Iterable[ResponseOption], stamp: str | None = None) -> CodeMap:
    """Return each disposition's response where exactly one can be meant.

    Args:
        options: the project's responses, as Procore lists them now.
        stamp: the firm's own words on this return; among several that fit, the response with
            exactly these words is the one.
    """
    known = tuple(options)
    return {
        disposition: option
        for disposition in CLASS_OF
        if (option := _the_one(_fitting(disposition, known), stamp)) is not None
    }


def _fitting(disposition: Disposition, options: Iterable[ResponseOption]) -> list[ResponseOption]:
    return [
        option
        for option in options
        if _plain(option.considered) == CLASS_OF[disposition]
        and _says(option.name, NAMES_OF[disposition])
    ]


def _says(name: str, names: frozenset[str]) -> bool:
    """`Approved / No Exceptions Taken` says it twice, and both have to fit."""
    said = [_plain(part) for part in name.split("/")]
    return _plain(name) in names or all(part in names for part in said)


def _the_one(fitting: list[ResponseOption], stamp: str | None) -> ResponseOption | None:
    if len(fitting) > 1 and stamp:
        fitting = [option for option in fitting if _plain(option.name) == _plain(stamp)]
    return fitting[0] if len(fitting) == 1 else None


def _plain(name: str) -> str:
    spelled = unicodedata.normalize("NFKC", name).casefold().replace("&", " and ")
    return " ".join(re.findall(r"[^\W_]+", spelled))
