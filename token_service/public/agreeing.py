"""How each disposition of a project reads, in words, and what a visitor may do about it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from schemas.dispositions import PARTIES, Party, Proposal
from schemas.records import Disposition
from schemas.returns import Project
from services.dispositions import (
    INBOUND_WORDS,
    MEANINGS,
    Kind,
    Meaning,
    Standing,
    difference,
    is_answer,
    loosens,
    standing_of,
    unconfirmed,
    words_of,
)
from token_service.public.ports import Decision, ResponseChoice
from token_service.public.wording import role

STATE_WORDS: dict[Kind, tuple[str, str]] = {  # the word people see, and its tone
    "agreed": ("In force", "good"),
    "automatic": ("Automatic", "good"),
    "suspended": ("Suspended", "bad"),
    "several": ("More than one fits", "warn"),
    "none": ("None yet", "warn"),
}
DECIDED_WORDS = {
    "proposed": "{name} ({party}) proposed “{response}” for “{words}”.",
    "confirmed": "{name} ({party}) confirmed “{response}” for “{words}”.",
    "withdrawn": "{name} ({party}) withdrew “{response}” for “{words}”.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenProposal:
    """What waits for a confirmation, as a visitor sees it."""

    proposal: Proposal
    words: str
    warning: str | None  # why each party has to confirm this very response in spite of it
    changed: str | None  # what happened to it in Procore since it was proposed
    may_confirm: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DispositionRow:
    """One row of the table."""

    disposition: Disposition
    meaning: Meaning
    standing: Standing[ResponseChoice]
    state: str
    tone: str
    words: str
    task: str | None  # who is asked, while nothing stands for it and nothing is proposed
    open: OpenProposal | None
    chosen: str  # id of the response that the select begins with, or empty


def rows_of(
    responses: Sequence[ResponseChoice],
    proposals: Sequence[Proposal],
    *,
    project: Project,
    party: Party | None,
) -> list[DispositionRow]:
    """Return the rows.

    Args:
        responses: the Procore project's responses as they are now.
        proposals: what the parties proposed and confirmed.
        project: with the team, to name who is waited for.
        party: for whom the visitor speaks; None: they only look.
    """
    return [
        _row(disposition, standing_of(disposition, responses, proposals), responses, project, party)
        for disposition in MEANINGS
    ]


def _row(
    disposition: Disposition,
    standing: Standing[ResponseChoice],
    responses: Sequence[ResponseChoice],
    project: Project,
    party: Party | None,
) -> DispositionRow:
    state, tone = STATE_WORDS[standing.kind]
    shown = standing.proposed or standing.agreed
    return DispositionRow(
        disposition=disposition,
        meaning=MEANINGS[disposition],
        standing=standing,
        state=state,
        tone=tone,
        words=_words(disposition, standing),
        task=_task(standing, project),
        open=_open(standing.proposed, responses, project, party),
        chosen=shown.response.id if shown else standing.response.id if standing.response else "",
    )


def _task(standing: Standing[ResponseChoice], project: Project) -> str | None:
    if standing.response is not None or standing.proposed is not None:
        return None
    return " or ".join(_awaited(PARTIES, project))


def _words(disposition: Disposition, standing: Standing[ResponseChoice]) -> str:
    match standing.kind:
        case "agreed":
            looser = standing.agreed is not None and loosens(
                disposition, standing.agreed.response.considered
            )
            despite = ", although it is looser" if looser else ""
            return f"Confirmed by {_confirmed_by(standing.agreed)}{despite}."
        case "automatic":
            return "Name and class agree, so nobody has to confirm it."
        case "suspended":
            name = standing.agreed.response.name if standing.agreed else ""
            return (
                f"Both parties confirmed “{name}”, which has been {standing.became} in Procore "
                "since. Returns with this disposition are held until both confirm what is meant "
                "now, or until the response is again what they saw."
            )
        case "several":
            return (
                "A return goes only where its stamp has the very words of one of them; any other "
                "is held. Both parties can confirm one."
            )
        case "none":
            why = (
                "No response agrees in both name and class."
                if MEANINGS[disposition].considered
                else "This one never maps by itself."
            )
            return f"{why} Returns with it are held until both parties confirm a response."


def _confirmed_by(proposal: Proposal | None) -> str:
    said = [(party, proposal.confirmation(party)) for party in PARTIES] if proposal else []
    return " and ".join(f"{one.name} ({role(party)})" for party, one in said if one is not None)


def _open(
    proposal: Proposal | None,
    responses: Sequence[ResponseChoice],
    project: Project,
    party: Party | None,
) -> OpenProposal | None:
    if proposal is None:
        return None
    missing = unconfirmed(proposal)
    changed = difference(proposal, responses)
    return OpenProposal(
        proposal=proposal,
        words=f"It comes into force once {_and(_awaited(missing, project))} confirmed it.",
        warning=_warning(proposal),
        changed=changed,
        may_confirm=party in missing and changed is None,
    )


def _awaited(missing: Iterable[Party], project: Project) -> list[str]:
    awaited = []
    for party in missing:
        names = [member.name for member in project.team if member.role == party]
        who = " or ".join(names) if names else "nobody on this team yet"
        awaited.append(f"a {role(party)} ({who})")
    return awaited


def _and(names: Sequence[str]) -> str:
    return f"{' and '.join(names)} {'has' if len(names) == 1 else 'have'}"


def _warning(proposal: Proposal) -> str | None:
    seen = proposal.response
    if not loosens(proposal.disposition, seen.considered):
        return None
    return (
        f"“{seen.name}” (class “{seen.considered or 'none'}”) is looser than “"
        f"{words_of(proposal.disposition)}”: in Procore, work may go on that this disposition does "
        "not let go on."
    )


def choices_of(responses: Iterable[ResponseChoice]) -> list[ResponseChoice]:
    """Return the responses that a return could become: those that answer."""
    return [response for response in responses if is_answer(response.considered)]


def inbound_words() -> str:
    """Name the dispositions that nobody returns."""
    *names, last = INBOUND_WORDS.values()
    return f"{', '.join(names)} and {last}"


def decided_words(decision: Decision) -> str:
    """Say what was decided, for the log."""
    words = DECIDED_WORDS[decision.what].format(
        name=decision.name,
        party=role(decision.party),
        response=decision.response_name,
        words=words_of(decision.disposition),
    )
    return f"{words} It is in force." if decision.in_force else words
