"""What a whole project is checked for, so that nobody learns it on pressing Return. Pure.

Field notes 4.9: levels, tools that are off and directories decide whether a return works, and all
of it can be known when the item arrives. A disposition without a response is of the same kind.
"""

from collections.abc import Mapping, Sequence

import msgspec

from schemas.dispositions import DispositionMap
from schemas.records import Disposition, Kind, Person
from schemas.returns import Member
from services.dispositions import MEANINGS, Standing, standing_of, words_of
from services.procore.models import ResponseOption
from services.procore.permissions import OFF, Levels
from sync_worker.outbound.code_holds import WHERE, asked, member_of
from sync_worker.outbound.holds import Hold, member_person

ANSWERS_FROM = ("standard", "admin")
TOOLS: Mapping[Kind, str] = {"rfi": "RFIs", "submittal": "Submittals"}


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """What Procore lets a person do in the project; `levels` None: it does not let them in."""

    levels: Levels | None


class Unmapped(msgspec.Struct, frozen=True, kw_only=True):
    """A disposition that no response stands for, and who is asked to mend that."""

    disposition: Disposition
    was: str | None = None  # the response that both had agreed on, or that fitted by itself
    became: str | None = None  # what happened to it in Procore
    mended_by: Person | None = None


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a project. An empty one says nothing against anybody."""

    access: Mapping[str, Access] = {}  # by Part3 user id
    unmapped: tuple[Unmapped, ...] = ()
    names: Mapping[str, str] = {}  # of the responses, by id, to tell what was renamed


NOT_CHECKED = Checked()


def unmapped_of(
    options: Sequence[ResponseOption], agreed: DispositionMap | None, team: Sequence[Member]
) -> tuple[Unmapped, ...]:
    """Return the dispositions whose returns would be held, each with a named person."""
    proposals = agreed.proposals if agreed else ()
    found = []
    for disposition in MEANINGS:
        standing = standing_of(disposition, options, proposals)
        if standing.response is None and standing.kind != "several":
            found.append(_unmapped(disposition, standing, options, team))
    return tuple(found)


def _unmapped(
    disposition: Disposition,
    standing: Standing[ResponseOption],
    options: Sequence[ResponseOption],
    team: Sequence[Member],
) -> Unmapped:
    mender = member_of(asked(standing, options), team)
    return Unmapped(
        disposition=disposition,
        was=standing.agreed.response.name if standing.agreed else None,
        became=standing.became,
        mended_by=member_person(mender) if mender else None,
    )


def access_hold(
    member: Member, access: Access | None, kind: Kind, record: str, manager: Person | None
) -> Hold | None:
    """Say why Procore would refuse this person's answer, or None: it would not, or nobody knows."""
    if access is None:
        return None
    why = _refusal(member.name, access, kind)
    if why is None:
        return None
    asked_person = manager.name if manager else "a project administrator in Procore"
    return Hold(
        "not_permitted",
        f"{record} cannot be returned by {member.name} yet: {why} Ask {asked_person} to mend it; "
        "it is seen by itself.",
        manager,
    )


def _refusal(name: str, access: Access, kind: Kind) -> str | None:
    tool = TOOLS[kind]
    if access.levels is None:
        return f"Procore does not let {name} into the project (its Directory lists who may)."
    level = access.levels.rfi if kind == "rfi" else access.levels.submittal
    if level is None or level.casefold() in ANSWERS_FROM:
        return None
    if level == OFF:
        return f"the {tool} tool is switched off for {name} in the Procore project."
    return f"{name} has {level} on the {tool} tool in Procore, and answering needs Standard."


def code_hold(unmapped: Sequence[Unmapped], record: str) -> Hold | None:
    """Say which dispositions a return could not carry yet, or None."""
    if not unmapped:
        return None
    names = " and ".join(f"“{words_of(one.disposition)}”" for one in unmapped)
    mender = next((one.mended_by for one in unmapped if one.mended_by is not None), None)
    who = mender.name if mender else "A General Contractor"
    return Hold(
        "code_unmapped",
        f"{record} can be returned, but not as {names}: no response in Procore is agreed on for "
        f"that. {who} can propose one {WHERE}, and both parties confirm it.",
        mender,
    )


def news_of(was: Checked, now: Checked) -> tuple[tuple[str, Person | None], ...]:
    """Say which mappings fell away since the last check, and whose task that is."""
    known = {one.disposition for one in was.unmapped}
    told = []
    for one in now.unmapped:
        if one.disposition in known or not was.names:
            continue
        what = f"“{one.was}” has been {one.became} in Procore" if one.was else _gone(was, now)
        who = one.mended_by.name if one.mended_by else "A General Contractor or Prime Consultant"
        words = (
            f"Returns with “{words_of(one.disposition)}” wait: {what}. {who} can propose the "
            f"response that is meant now {WHERE}; every other disposition goes on."
        )
        told.append((words, one.mended_by))
    return tuple(told)


def _gone(was: Checked, now: Checked) -> str:
    """Name the responses that are not what they were, as none was agreed on by people."""
    gone = [name for key, name in was.names.items() if now.names.get(key) != name]
    if not gone:
        return "no response of the project stands for it any more"
    names = ", ".join(f"“{name}”" for name in gone)
    return f"the project's responses changed in Procore (there was {names})"
