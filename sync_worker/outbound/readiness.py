"""Can a record be returned now, by whom, and if not, why: told when it arrives, not on Return.

The field's rule: what a tired reviewer would learn on pressing Return is checked when the item
arrives. From what the workers know already; Procore is not asked.
"""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from schemas.records import Kind, Person
from schemas.returns import Member, Readiness
from sync_worker.outbound import holds
from sync_worker.outbound.checks import NOT_CHECKED, Checked, access_hold, code_hold
from sync_worker.outbound.holds import Hold
from sync_worker.outbound.turns import Turns

RETURNS_BY = ("prime_consultant", "consultant")
"""Roles whose members return; the others read."""


class Teammate(msgspec.Struct, frozen=True, kw_only=True):
    """A member who returns, with who they proved to be in Procore."""

    member: Member
    procore_id: str | None  # None: no working authorization
    lapsed: bool = False  # it worked once


def readiness_of(
    turns: Turns,
    team: Sequence[Teammate],
    *,
    removed: bool,
    as_of: datetime,
    kind: Kind = "rfi",
    checked: Checked = NOT_CHECKED,
) -> Readiness:
    """Say who could return a record now, and what keeps the first who could not.

    Args:
        turns: whose turn it is.
        team: the members who return, those without authorization too.
        removed: the record is in Procore's recycle bin.
        as_of: now.
        kind: of the record.
        checked: what the project was checked for: levels in Procore, and the code map.
    """
    if removed:
        return _nobody(holds.record_removed(turns.record, turns.manager), as_of)
    if turns.hold is not None:
        return _nobody(turns.hold, as_of)
    refused = _refused(turns, team, kind, checked)
    able = [
        mate for mate in team if mate.procore_id in turns.may and mate.member.user_id not in refused
    ]
    unable = _first_unable(turns, team) or next(iter(refused.values()), None)
    if able and unable is None and kind == "submittal":
        unable = code_hold(checked.unmapped, turns.record)
    if not able and unable is None:
        unable = _with_others(turns)
    return Readiness(
        returnable=bool(able),
        as_of=as_of,
        for_user_ids=tuple(mate.member.user_id for mate in able),
        reason=unable.reason if unable else None,
        message=unable.message if unable else None,
        mended_by=unable.mended_by if unable else None,
    )


def not_connected(state: str, *, as_of: datetime) -> Readiness:
    """Say of a record that nothing crosses: its project's connection is paused or gone."""
    return _nobody(holds.nothing_crosses(state), as_of)


def _refused(
    turns: Turns, team: Sequence[Teammate], kind: Kind, checked: Checked
) -> dict[str, Hold]:
    """Return whose turn it is and whom Procore would refuse all the same, by user id."""
    found = {}
    for mate in team:
        if mate.procore_id not in turns.may:
            continue
        access = checked.access.get(mate.member.user_id)
        hold = access_hold(mate.member, access, kind, turns.record, turns.manager)
        if hold is not None:
            found[mate.member.user_id] = hold
    return found


def _first_unable(turns: Turns, team: Sequence[Teammate]) -> Hold | None:
    """Return what keeps the first one who is asked from returning, if it can be told."""
    known = {mate.procore_id for mate in team}
    for person in turns.asked:
        if person.procore_id in known:
            continue
        mate = _by_email(person, team)
        if mate is not None:
            hold = holds.not_authorized(mate.member, lapsed=mate.lapsed)
            words = f"{turns.record} cannot be returned yet. {hold.message}"
            return Hold(
                hold.reason, words.removesuffix(" Then this return goes by itself."), hold.mended_by
            )
    return None


def _by_email(person: Person, team: Sequence[Teammate]) -> Teammate | None:
    """E-mail is a hint, enough to say who has to authorize; who they are is proven then."""
    if person.email is None:
        return None
    mail = person.email.casefold()
    without = (mate for mate in team if mate.procore_id is None)
    return next((mate for mate in without if mate.member.email.casefold() == mail), None)


def _with_others(turns: Turns) -> Hold:
    names = ", ".join(person.name for person in turns.ball)
    where = f"is with {names} in Procore" if names else "waits for nobody on this team"
    mender = turns.ball[0] if turns.ball else turns.manager
    return Hold("not_your_turn", f"{turns.record} {where}.", mender)


def _nobody(hold: Hold, as_of: datetime) -> Readiness:
    return Readiness(
        returnable=False,
        as_of=as_of,
        reason=hold.reason,
        message=hold.message,
        mended_by=hold.mended_by,
    )
