"""Procore's RFIs, submittals and files, by one person's grant at a time.

Versions of paths as schemas/contracts/procore.openapi.yaml has them: RFIs v1.0, submittals and
uploads v1.1.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from schemas.records import Kind
from services.errors import OutcomeUnknown, TryLater
from services.procore.call import BeforeSending, Caller, json_of
from services.procore.errors import NotVisible
from services.procore.files import FileBytes, Files
from services.procore.json_values import id_of, read_many
from services.procore.models import (
    Answer,
    Attachment,
    Page,
    Place,
    ResponseOption,
    Rfi,
    Submittal,
)
from services.procore.pacer import Priority
from services.procore.permissions import Levels, is_admin_of_both, levels_of
from services.procore.reading import (
    read_answer,
    read_response_option,
    read_rfi,
    read_submittal,
)

T = TypeVar("T")

PER_PAGE = 100
"""Small enough for every version of the API; lists may be capped at it without saying so."""

LISTS: dict[Kind, str] = {
    "rfi": "/rest/v1.0/projects/{project}/rfis",
    "submittal": "/rest/v1.1/projects/{project}/submittals",
}
FAR_AWAY = "2100-01-01T00:00:00Z"


class Procore:
    """The calls of the workers. Each names whose grant it uses and how urgent it is."""

    def __init__(self, caller: Caller, files: Files) -> None:
        self._caller = caller
        self._files = files

    async def rfi(
        self, place: Place, rfi_id: str, *, whose: str, priority: Priority = Priority.LOOK
    ) -> Rfi:
        """Read one RFI in full. Raises NotVisible, NotAllowed, TryLater, NeedsPerson."""
        path = f"{_list_path(place, 'rfi')}/{_segment(rfi_id)}"
        answer = await self._caller.read(place, path, whose=whose, priority=priority)
        return read_rfi(_object(json_of(answer)), full=True)

    async def submittal(
        self, place: Place, submittal_id: str, *, whose: str, priority: Priority = Priority.LOOK
    ) -> Submittal:
        """Read one submittal in full. Raises as `rfi`."""
        path = f"{_list_path(place, 'submittal')}/{_segment(submittal_id)}"
        answer = await self._caller.read(place, path, whose=whose, priority=priority)
        return read_submittal(_object(json_of(answer)))

    async def submittals(
        self,
        place: Place,
        ids: Sequence[str],
        *,
        whose: str,
        priority: Priority = Priority.LOOK,
    ) -> dict[str, Submittal]:
        """Read several submittals with one list call; what is not visible is not in the answer."""
        params = [("filters[id][]", one) for one in ids]
        params += [("per_page", str(PER_PAGE)), ("page", "1")]
        path = _list_path(place, "submittal")
        answer = await self._caller.read(place, path, whose=whose, priority=priority, params=params)
        found = read_many(_objects(json_of(answer)), _submittal)
        return {one.id: one for one in found if one.id in ids}

    async def rfis_listed(
        self,
        place: Place,
        ids: Sequence[str],
        *,
        whose: str,
        priority: Priority = Priority.LOOK,
    ) -> frozenset[str]:
        """Return which of these RFIs Procore lists: one call for up to 100, and never a 404."""
        params = [("filters[id][]", one) for one in ids]
        params += [("per_page", str(PER_PAGE)), ("page", "1")]
        path = _list_path(place, "rfi")
        answer = await self._caller.read(place, path, whose=whose, priority=priority, params=params)
        found = {id_of(item.get("id")) for item in _objects(json_of(answer))}
        return frozenset(one for one in ids if one in found)

    async def replies(self, place: Place, rfi_id: str, *, whose: str) -> tuple[Answer, ...]:
        """Read all replies of an RFI, every page of them."""
        path = f"{_list_path(place, 'rfi')}/{_segment(rfi_id)}/replies"
        items = await self._every_page(place, path, whose=whose, priority=Priority.RETURN)
        return read_many(items, read_answer)

    async def page(
        self,
        kind: Kind,
        place: Place,
        *,
        whose: str,
        priority: Priority,
        number: int,
        updated_from: datetime | None = None,
        updated_to: datetime | None = None,
    ) -> Page:
        """Read one page of a kind's list, sorted by number; `updated_…` bound the window."""
        params: dict[str, str] = {"page": str(number), "per_page": str(PER_PAGE)}
        if kind == "rfi":
            params |= {"sort[attribute]": "number", "sort[direction]": "asc"}
        else:
            params |= {"sort": "number"}
        if updated_from is not None:
            until = _iso(updated_to) if updated_to else FAR_AWAY
            params["filters[updated_at]"] = f"{_iso(updated_from)}...{until}"
        path = _list_path(place, kind)
        answer = await self._caller.read(place, path, whose=whose, priority=priority, params=params)
        items = _objects(json_of(answer))
        total = answer.headers.get("total", "")
        return Page(
            items,
            int(total) if total.isdecimal() else None,
            _next_page(answer.headers.get("link", ""), number, len(items)),
            _date_of(answer.headers.get("date", "")),
        )

    async def recycled(
        self, kind: Kind, place: Place, *, whose: str, priority: Priority = Priority.SWEEP
    ) -> frozenset[str]:
        """Return the ids in a kind's recycle bin; empty where there is none to be seen."""
        path = f"{_list_path(place, kind)}/recycle_bin"
        try:
            items = await self._every_page(place, path, whose=whose, priority=priority)
        except NotVisible:
            return frozenset()
        return frozenset(one for item in items if (one := id_of(item.get("id"))) is not None)

    async def _every_page(
        self, place: Place, path: str, *, whose: str, priority: Priority
    ) -> list[dict[str, Any]]:
        """Read a list to its end: each item once, though pages overlap while it changes."""
        found: dict[str | None, dict[str, Any]] = {}
        page: int | None = 1
        while page is not None:
            params = {"page": str(page), "per_page": str(PER_PAGE)}
            answer = await self._caller.read(
                place, path, whose=whose, priority=priority, params=params
            )
            items = _objects(json_of(answer))
            known = len(found)
            found |= {id_of(item.get("id")): item for item in items}
            page = _next_page(answer.headers.get("link", ""), page, len(items))
            if len(found) == known:  # paging is ignored, or the pages go round
                break
        return list(found.values())

    async def response_options(self, place: Place, *, whose: str) -> tuple[ResponseOption, ...]:
        """Read the answers that the project lets its approvers give."""
        answer = await self._caller.read(
            place,
            "/rest/v1.0/submittal_responses",
            whose=whose,
            priority=Priority.RETURN,
            params={"project_id": place.project_id},
        )
        return read_many(json_of(answer), read_response_option)

    async def levels(self, place: Place, *, whose: str) -> Levels:
        """Return a person's levels on the project's RFIs and Submittals tools."""
        return levels_of(await self._manifest(place, whose, Priority.SWEEP))

    async def is_admin_of_both(self, place: Place, *, whose: str) -> bool:
        """Tell whether a person is Admin on the project's RFIs and Submittals tools."""
        return is_admin_of_both(await self._manifest(place, whose, Priority.LOOK))

    async def _manifest(self, place: Place, whose: str, priority: Priority) -> Any:
        """Read what a person may do in a project."""
        answer = await self._caller.read(
            place,
            "/rest/v1.0/settings/permissions",
            whose=whose,
            priority=priority,
            params={"project_id": place.project_id},
        )
        return json_of(answer)

    async def download(
        self,
        place: Place,
        attachment: Attachment,
        into: Path,
        *,
        whose: str,
        most_bytes: int | None = None,
    ) -> FileBytes:
        """Write an attachment's bytes to a new file, at most so many. Raises as `Files`."""
        return await self._files.download(
            place, attachment, into, whose=whose, most_bytes=most_bytes
        )

    async def upload(
        self, place: Place, path: Path, name: str, content_type: str, *, whose: str
    ) -> str:
        """Upload a file; return its uuid, which only the same person may attach within a week."""
        return await self._files.upload(place, path, name, content_type, whose=whose)

    async def post_reply(
        self,
        place: Place,
        rfi_id: str,
        html: str,
        upload_ids: tuple[str, ...],
        *,
        whose: str,
        before_sending: BeforeSending | None = None,
    ) -> str:
        """Add one reply and return its id. Its author is the grant's person.

        Raises:
            OutcomeUnknown: it was sent, and whether it is there must be looked up.
        """
        reply: dict[str, Any] = {"body": html}
        if upload_ids:
            reply["upload_ids"] = list(upload_ids)
        answer = await self._caller.write(
            "POST",
            place,
            f"{_list_path(place, 'rfi')}/{_segment(rfi_id)}/replies",
            whose=whose,
            json={"reply": reply},
            before_sending=before_sending,
        )
        try:
            reply_id = id_of(_object(json_of(answer)).get("id"))
        except TryLater as error:
            raise OutcomeUnknown(str(error)) from error
        if reply_id is None:
            message = "Procore took the reply and gave no id for it"
            raise OutcomeUnknown(message)
        return reply_id

    async def respond(
        self,
        place: Place,
        submittal_id: str,
        approver_id: str,
        *,
        response_id: str,
        comment: str,
        upload_ids: tuple[str, ...],
        whose: str,
        send_emails: bool = False,
        before_sending: BeforeSending | None = None,
    ) -> None:
        """Answer in an approver's row. Raises as `post_reply`.

        Without `send_emails` Procore mails nobody of it.

        The success body is an array in some descriptions and an object in others, so it is not
        read: what arrived is read back from the submittal.
        """
        row: dict[str, Any] = {"submittal_response_id": _number(response_id), "comment": comment}
        if upload_ids:
            row["upload_ids"] = list(upload_ids)
        await self._caller.write(
            "PATCH",
            place,
            f"/rest/v1.0/submittal_approvers/{_segment(approver_id)}",
            whose=whose,
            params={
                "project_id": place.project_id,
                "submittal_id": submittal_id,
                "send_emails": "true" if send_emails else "false",
            },
            json={"submittal_approver": row},
            before_sending=before_sending,
        )


def _submittal(value: Any) -> Submittal | None:
    """None for what lacks an id or a time: it must not hide the others of its list."""
    try:
        return read_submittal(value)
    except TryLater:
        return None


def _list_path(place: Place, kind: Kind) -> str:
    return LISTS[kind].format(project=_segment(place.project_id))


def _segment(one_id: str) -> str:
    """An id of the other side's as one segment of a path, whatever is in it."""
    return quote(one_id, safe="")


def _number(text: str) -> int | str:
    return int(text) if text.isdecimal() else text


def _iso(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _date_of(value: str) -> datetime | None:
    try:
        at = parsedate_to_datetime(value)
    except ValueError:
        return None
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


def _object(value: Any) -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    message = "Procore answered with something that is not an object"
    raise TryLater(message, reason="procore_down")


def _objects(value: Any) -> list[dict[str, Any]]:
    """The items of a list, with or without the v2 envelope."""
    if isinstance(value, dict):
        value = value.get("data")
    if not isinstance(value, list):
        message = "Procore answered with something that is not a list"
        raise TryLater(message, reason="procore_down")
    return [one for one in value if isinstance(one, dict)]


def _next_page(link: str, page: int, count: int) -> int | None:
    """The number after this one, if there is one; of `Link` only the fact is believed."""
    more = 'rel="next"' in link if link else count >= PER_PAGE
    return page + 1 if more and count else None
