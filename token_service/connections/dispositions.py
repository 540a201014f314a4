"""Which Procore response stands for each disposition: only where name and class agree.

A project renames its responses as it likes, so a name alone decides nothing and a class alone
neither: "Make Corrections Noted" must never become "Approved". What does not agree is for people.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from schemas.records import Disposition
from token_service.public.ports import ResponseChoice


@dataclass(frozen=True, slots=True)
class Meaning:
    """A disposition a person may return: what it says, and what it is called."""

    words: str
    work_may_go_on: str
    considered: str  # Procore's class
    names: tuple[str, ...]  # stamp words, without which the class alone decides nothing


MEANINGS: Mapping[Disposition, Meaning] = {
    "proceed": Meaning(
        "Proceed",
        "Yes",
        "approved",
        ("approved", "reviewed", "no exceptions taken", "furnish as submitted", "proceed"),
    ),
    "proceed_as_noted": Meaning(
        "Proceed as noted",
        "Yes, with corrections",
        "approved as noted",
        (
            "approved as noted",
            "reviewed as noted",
            "make corrections noted",
            "furnish as corrected",
            "exceptions noted",
            "proceed as noted",
        ),
    ),
    "revise_resubmit": Meaning(
        "Revise and resubmit",
        "No",
        "revise and resubmit",
        (
            "revise and resubmit",
            "amend and resubmit",
            "reviewed revise and resubmit",
            "revise resubmit",
        ),
    ),
    "rejected": Meaning(
        "Rejected", "No", "rejected", ("rejected", "not approved", "submit specified item")
    ),
    "record_only": Meaning(
        "For record only",
        "Not a statement",
        "for record only",
        ("for record only", "receipt acknowledged", "for information"),
    ),
    "proceed_as_noted_record_copy": Meaning(
        "Proceed as noted, record copy", "Yes, with corrections", "", ()
    ),
    "not_reviewed": Meaning("Returned without review", "Not a statement", "", ()),
}


@dataclass(frozen=True, slots=True)
class Match:
    """A disposition and the project's responses that stand for it; none: people must say."""

    disposition: Disposition
    meaning: Meaning
    responses: tuple[ResponseChoice, ...]


def plain(words: str) -> str:
    """Fold case, punctuation and underscores, which projects vary freely."""
    return " ".join(re.sub(r"[\W_]+", " ", words.casefold()).split())


def matches(responses: Sequence[ResponseChoice]) -> list[Match]:
    """Say for each disposition which of the project's responses agree in name and class."""
    return [
        Match(
            disposition,
            meaning,
            tuple(
                response
                for response in responses
                if meaning.names
                and plain(response.considered) == meaning.considered
                and plain(response.name) in meaning.names
            ),
        )
        for disposition, meaning in MEANINGS.items()
    ]
