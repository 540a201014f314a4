"""Which Procore response stands for a disposition: agreed by both parties, or beyond doubt.

A project renames its responses as it likes and adds its own. A code is a statement with legal
weight, so a response is taken by itself only where its class *and* its name say the same thing;
anything else is for people. The pages show, and the workers send, by this one rule.
Source of the words: stamps of the field.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, Protocol, TypeVar

from schemas.dispositions import PARTIES, Party, Proposal
from schemas.records import Disposition


class Response(Protocol):
    """A response that a Procore project lets its approvers give; `considered` is its class."""

    @property
    def id(self) -> str:
        """Procore's id, which survives a renaming."""

    @property
    def name(self) -> str:
        """The project's own word."""

    @property
    def considered(self) -> str:
        """One of Procore's classes."""


Option = TypeVar("Option", bound=Response)


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """A disposition a person may return: what it says, and what it is called.

    Attributes:
        strictness: how far it stops the work, 0 (not at all) to 5.
        stamps: the field's words for it.
        also: other spellings of these.
        considered: Procore's class, which name and class have to agree on; empty: nothing stands
            for it without asking.
    """

    words: str
    work_may_go_on: str
    strictness: int
    stamps: tuple[str, ...]
    also: tuple[str, ...] = ()
    considered: str = ""


MEANINGS: Mapping[Disposition, Meaning] = {
    "proceed": Meaning(
        words="Approved",
        work_may_go_on="Yes",
        strictness=0,
        stamps=("Approved", "Reviewed", "No Exceptions Taken", "Furnish as Submitted"),
        also=("No Exception Taken",),
        considered="approved",
    ),
    "proceed_as_noted": Meaning(
        words="Approved as Noted",
        work_may_go_on="Yes, with corrections",
        strictness=1,
        stamps=(
            "Approved as Noted",
            "Reviewed as Noted",
            "Make Corrections Noted",
            "Furnish as Corrected",
            "Exceptions Noted",
        ),
        considered="approved as noted",
    ),
    "proceed_as_noted_record_copy": Meaning(
        words="Approved as Noted, submit for record",
        work_may_go_on="Yes, with corrections",
        strictness=1,
        stamps=("Approved as Noted, Submit for Record", "Confirm"),
    ),
    "revise_resubmit": Meaning(
        words="Revise and Resubmit",
        work_may_go_on="No",
        strictness=4,
        stamps=(
            "Revise and Resubmit",
            "Amend and Resubmit",
            "R&R",
            "Reviewed – Revise and Resubmit",  # noqa: RUF001 - as it is stamped
        ),
        considered="revise and resubmit",
    ),
    "rejected": Meaning(
        words="Rejected",
        work_may_go_on="No",
        strictness=5,
        stamps=("Rejected", "Not Approved", "Submit Specified Item"),
        considered="rejected",
    ),
    "record_only": Meaning(
        words="For Record Only",
        work_may_go_on="No statement",
        strictness=3,
        stamps=("For Record Only", "Receipt Acknowledged", "For Information"),
        considered="for record only",
    ),
    "not_reviewed": Meaning(
        words="Not Reviewed",
        work_may_go_on="No statement",
        strictness=3,
        stamps=("Returned Without Action", "Not Reviewed", "Review Not Required"),
    ),
}
INBOUND_WORDS: Mapping[Disposition, str] = {
    "pending": "Pending",
    "forwarded": "Forwarded for Review",
    "void": "Void",
}
"""What only ever comes from Procore; nobody returns it."""

STRICTNESS_OF_CLASS = {
    meaning.considered: meaning.strictness for meaning in MEANINGS.values() if meaning.considered
}
NO_ANSWER = frozenset({"pending", "submitted", "forwarded for review", "void"})
"""Classes that leave the question open, or withdraw it; a returned answer cannot be any of them."""


def words_of(disposition: Disposition) -> str:
    """Return what people call a disposition."""
    meaning = MEANINGS.get(disposition)
    return meaning.words if meaning else INBOUND_WORDS[disposition]


def plain(words: str) -> str:
    """Return words without case, punctuation and spelling of `&`, to compare them."""
    spelled = unicodedata.normalize("NFKC", words).casefold().replace("&", " and ")
    return " ".join(re.findall(r"[^\W_]+", spelled))


def is_answer(considered: str) -> bool:
    """Tell whether a response of this class answers at all, so that a return could become it."""
    return plain(considered) not in NO_ANSWER


def loosens(disposition: Disposition, considered: str) -> bool:
    """Tell whether a response of this class may let work go on that the disposition does not.

    Of a class that Procore did not have when this was written it cannot be told, so it may.
    """
    return MEANINGS[disposition].strictness > STRICTNESS_OF_CLASS.get(plain(considered), 0)


def unconfirmed(proposal: Proposal) -> tuple[Party, ...]:
    """Return the parties whose word is missing, first the one to ask first; none: in force.

    Where the response is looser than the disposition, only a word that was given in spite of the
    warning counts.
    """
    if proposal.disposition not in MEANINGS or not is_answer(proposal.response.considered):
        return PARTIES
    warned = loosens(proposal.disposition, proposal.response.considered)
    return tuple(
        party
        for party in PARTIES
        if (said := proposal.confirmation(party)) is None or (warned and not said.despite_looser)
    )


def difference(proposal: Proposal, options: Iterable[Response]) -> str | None:
    """Say what became of the response that a proposal is about, or None: it is as it was seen."""
    seen = proposal.response
    now = next((option for option in options if option.id == seen.id), None)
    if now is None:
        return "deleted"
    if _spelled(now.name) != _spelled(seen.name):
        return f"renamed to “{now.name}”"
    if plain(now.considered) != plain(seen.considered):
        return f"moved to the class “{now.considered}”"
    return None


Kind = Literal["agreed", "automatic", "suspended", "several", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing(Generic[Option]):
    """How a disposition reads in a project now.

    Attributes:
        kind: agreed (by both parties), automatic (name and class agree), suspended (agreed, but
            the response is no longer what both saw), several (more than one fits), none.
        response: what a return would become; None: it waits for people.
        fitting: the responses that agree in name and class.
        agreed: what both parties confirmed.
        proposed: what waits for a confirmation.
        became: what happened to the agreed response, while suspended.
    """

    kind: Kind
    response: Option | None = None
    fitting: tuple[Option, ...] = ()
    agreed: Proposal | None = None
    proposed: Proposal | None = None
    became: str | None = None


def standing_of(
    disposition: Disposition,
    options: Sequence[Option],
    proposals: Iterable[Proposal] = (),
    stamp: str | None = None,
) -> Standing[Option]:
    """Say how a disposition reads in a project.

    Args:
        disposition: what a person returns.
        options: the project's responses, as Procore lists them now.
        proposals: what the parties proposed and confirmed, of any disposition.
        stamp: the firm's own words on a return; among several that fit, the response with
            exactly these words is the one.

    Returns:
        What both agreed on, as long as it is what they saw; else what is beyond doubt. What people
        decided and Procore changed since never falls back on anything by itself.
    """
    about = [one for one in proposals if one.disposition == disposition]
    agreed = next((one for one in reversed(about) if not unconfirmed(one)), None)
    proposed = next((one for one in reversed(about) if unconfirmed(one)), None)
    fitting = tuple(option for option in options if _fits(option, disposition))
    if agreed is None:
        one = _the_one(fitting, stamp)
        kind: Kind = "automatic" if one else "several" if fitting else "none"
        return Standing(kind=kind, response=one, fitting=fitting, proposed=proposed)
    became = difference(agreed, options)
    response = next((one for one in options if one.id == agreed.response.id), None)
    return Standing(
        kind="suspended" if became else "agreed",
        response=None if became else response,
        fitting=fitting,
        agreed=agreed,
        proposed=proposed,
        became=became,
    )


def _fits(option: Response, disposition: Disposition) -> bool:
    meaning = MEANINGS.get(disposition)
    if meaning is None or not meaning.considered or plain(option.considered) != meaning.considered:
        return False
    names = {plain(stamp) for stamp in (*meaning.stamps, *meaning.also)}
    # `Approved / No Exceptions Taken` says it twice, and both have to fit
    said = [plain(part) for part in option.name.split("/")]
    return plain(option.name) in names or all(part in names for part in said)


def _the_one(fitting: Sequence[Option], stamp: str | None) -> Option | None:
    if len(fitting) > 1 and stamp:
        fitting = [option for option in fitting if plain(option.name) == plain(stamp)]
    return fitting[0] if len(fitting) == 1 else None


def _spelled(name: str) -> str:
    return " ".join(unicodedata.normalize("NFC", name).split())
