"""Which Procore response stands for each disposition: only where name and class agree.

A project renames its responses as it likes, so a name alone decides nothing and a class alone
neither: "Make Corrections Noted" must never become "Approved". What does not agree is for people.
The worker decides by the same rule; a test holds that the two never differ.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from schemas.records import Disposition
from token_service.public.ports import ResponseChoice


@dataclass(frozen=True, slots=True)
class Meaning:
    """A disposition a person may return: what it says, and what it is called."""

    words: str
    work_may_go_on: str
    considered: str = ""  # Procore's class; empty: nothing stands for it without asking
    names: tuple[str, ...] = ()  # stamp words, without which the class alone decides nothing


MEANINGS: Mapping[Disposition, Meaning] = {
    "proceed": Meaning(
        "Approved",
        "Yes",
        "approved",
        (
            "approved",
            "reviewed",
            "no exceptions taken",
            "no exception taken",
            "furnish as submitted",
        ),
    ),
    "proceed_as_noted": Meaning(
        "Approved as Noted",
        "Yes, with corrections",
        "approved as noted",
        (
            "approved as noted",
            "reviewed as noted",
            "make corrections noted",
            "furnish as corrected",
            "exceptions noted",
        ),
    ),
    "proceed_as_noted_record_copy": Meaning(
        "Approved as Noted, submit for record", "Yes, with corrections"
    ),
    "revise_resubmit": Meaning(
        "Revise and Resubmit",
        "No",
        "revise and resubmit",
        ("revise and resubmit", "amend and resubmit", "r and r", "reviewed revise and resubmit"),
    ),
    "rejected": Meaning(
        "Rejected", "No", "rejected", ("rejected", "not approved", "submit specified item")
    ),
    "record_only": Meaning(
        "For Record Only",
        "No statement",
        "for record only",
        ("for record only", "receipt acknowledged", "for information"),
    ),
    "not_reviewed": Meaning("Not Reviewed", "No statement"),
}


@dataclass(frozen=True, slots=True)
class Match:
    """A disposition and the project's responses that stand for it; none: people must say."""

    disposition: Disposition
    meaning: Meaning
    responses: tuple[ResponseChoice, ...]


def matches(responses: Sequence[ResponseChoice]) -> list[Match]:
    """Say for each disposition which of the project's responses agree in name and class."""
    return [
        Match(
            disposition,
            meaning,
            tuple(response for response in responses if _agrees(response, meaning)),
        )
        for disposition, meaning in MEANINGS.items()
    ]


def _agrees(response: ResponseChoice, meaning: Meaning) -> bool:
    if not meaning.considered or _plain(response.considered) != meaning.considered:
        return False
    # `Approved / No Exceptions Taken` says it twice, and both have to fit
    said = [_plain(part) for part in response.name.split("/")]
    return _plain(response.name) in meaning.names or all(part in meaning.names for part in said)


def _plain(words: str) -> str:
    spelled = unicodedata.normalize("NFKC", words).casefold().replace("&", " and ")
    return " ".join(re.findall(r"[^\W_]+", spelled))
