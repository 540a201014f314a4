"""A record's extras: what has no field of its own in Part3's contract, by label. Pure.

Labels in capitals are for people. Those in small letters are for Part3 itself: `files_pending`,
`thread_pending` (of an RFI, a list told the head; replies and files follow), `superseded`,
`participants` (who may see a private record, by e-mail) and `rounds`.
"""

from collections.abc import Iterable, Mapping
from itertools import groupby
from operator import itemgetter
from typing import Any

from schemas.records import File, Status
from services.procore.models import Approver, Attachment, Rfi, Submittal, UserRef

NOT_MIRRORED = "Files not mirrored"
NOTHING_LEFT_OUT: Mapping[str, str] = {}


def extras_of(
    source: Rfi | Submittal,
    attachments: list[Attachment],
    files: Mapping[str, File],
    left_out: Mapping[str, str] = NOTHING_LEFT_OUT,
) -> dict[str, Any]:
    """Other fields by label; those in small letters are for Part3 itself, not for reading.

    `left_out` says by id why attachments are not copied.
    """
    pending = len({one.id for one in attachments} - files.keys() - left_out.keys())
    without = {(left_out[one.id], one.name) for one in attachments if one.id in left_out}
    found: dict[str, Any] = dict(source.extras)
    if source.distribution:
        found["Distribution"] = ", ".join(sorted(user.name for user in source.distribution))
    if not source.current_revision or is_revised(source):
        found["superseded"] = True
    if source.private:
        found["participants"] = sorted(
            {user.login.casefold() for user in everybody_of(source).values() if user.login}
        )
    if without:
        found[NOT_MIRRORED] = "; ".join(
            f"{', '.join(name for _, name in sorted(same))}: {why}"
            for why, same in groupby(sorted(without), key=itemgetter(0))
        )
    if pending:
        found["files_pending"] = pending
    if isinstance(source, Rfi) and source.answers is None:
        found["thread_pending"] = True
    return found


def everybody_of(source: Rfi | Submittal) -> dict[str, UserRef]:
    """Everybody who takes part, by id: they see it in Procore also when it is private."""
    people = [source.creator, source.manager, source.received_from]
    people += [*source.distribution, *source.ball_in_court]
    match source:
        case Rfi():
            people += [assignee.user for assignee in source.assignees]
        case Submittal():
            people += [row.user for row in source.approvers]
    # the last one to name a login wins: some places give no more than a name
    by_login = sorted((one for one in people if one), key=lambda one: one.login is not None)
    return {user.id: user for user in by_login}


def answers_owed(rfi: Rfi) -> dict[str, Any]:
    """Name who must answer, where that is not everybody who is asked."""
    required = [assignee.user.name for assignee in rfi.assignees if assignee.required]
    if len(required) in (0, len(rfi.assignees)):
        return {}
    return {"Answer required from": ", ".join(required)}


def turns_begun(rows: Iterable[Approver]) -> dict[str, Any]:
    """Say when it was sent to each approver: what was received when is never lost."""
    sent = [f"{row.user.name} {row.sent_on.isoformat()}" for row in rows if row.sent_on]
    return {"Sent for review": "; ".join(sent)} if sent else {}


def unknown_status(word: str, known: Mapping[str, Status], shown: Status) -> dict[str, Any]:
    """Never silence about a status that is newer than this program."""
    if word in known:
        return {}
    return {"Status not known": f"“{word}” in Procore, shown as {shown} until that is settled"}


def origin_told(origin: Mapping[str, Any] | None) -> dict[str, Any]:
    """Say that Procore's own connection brought this RFI here."""
    provider = origin.get("source_provider_name") if origin else None
    number = origin.get("rfi_number") if origin else None
    if not provider:
        return {}
    return {"Connected from": f"{provider}, RFI {number} there" if number else str(provider)}


def is_revised(source: Rfi | Submittal) -> bool:
    """Tell an RFI that was closed because a revision took its place."""
    return isinstance(source, Rfi) and source.status == "closed_with_revision"
