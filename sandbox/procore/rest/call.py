"""One call to the API, read: parameters, body, files, who calls and for which company."""

import json
from typing import Any

import msgspec
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request

from sandbox.procore.domain import directory
from sandbox.procore.domain.files import Incoming
from sandbox.procore.domain.people import Actor, Project
from sandbox.procore.errors import BadRequest, NotFound
from sandbox.procore.rest import params
from sandbox.procore.world import World

FORM_TYPES = ("multipart/form-data", "application/x-www-form-urlencoded")


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """What a handler gets. `body` is the JSON object or the form, nested; arrays as `items`."""

    world: World
    request: Request
    actor: Actor
    company_id: int | None  # of the header; None where it is not needed
    query: dict[str, Any]
    body: dict[str, Any]
    items: list[Any] | None
    is_form: bool

    def id(self, name: str) -> int:
        """A number of the path; raises NotFound when it is none."""
        try:
            return int(params.digits(str(self.request.path_params[name])))
        except ValueError:
            raise NotFound from None

    def project_id(self) -> int:
        """The project of the path, or of the query where there is none in the path.

        Raises:
            BadRequest: it is missing.
            NotFound: invisible, or of another company than the header names.
        """
        if "project_id" in self.request.path_params:
            project_id = self.id("project_id")
        else:
            given = self.query.get("project_id") or self.body.get("project_id")
            if given is None:
                raise BadRequest(fields={"project_id": ["is required"]})
            project_id = params.whole(given, "project_id")
        self.project(project_id)
        return project_id

    def project(self, project_id: int) -> Project:
        found = directory.project(self.world, self.actor, project_id)
        if self.company_id is not None and found.company_id != self.company_id:
            raise NotFound
        return found


async def read_body(request: Request) -> tuple[dict[str, Any], list[Any] | None, bool]:
    """The body nested, its array if it is one, and whether it was a form."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind in FORM_TYPES:
        try:
            async with request.form(max_part_size=64 * 1024 * 1024) as form:
                pairs = [(name, await _part(value)) for name, value in form.multi_items()]
        except HTTPException as error:  # Starlette's own, for a form that cannot be read
            raise BadRequest(error.detail) from error
        return params.nested(pairs), None, True
    raw = await request.body()
    if not raw:
        return {}, None, False
    try:
        read = json.loads(raw)
    except ValueError:
        raise BadRequest("There was a problem in the JSON you submitted.") from None
    if isinstance(read, list):
        return {}, read, False
    if not isinstance(read, dict):
        raise BadRequest("The JSON you submitted is not an object.")
    return read, None, False


async def _part(value: str | UploadFile) -> str | Incoming:
    if isinstance(value, str):
        return value
    return Incoming(
        name=value.filename or "file",
        content_type=value.content_type or "application/octet-stream",
        content=await value.read(),
    )


def incoming(value: Any) -> tuple[Incoming, ...]:
    """The files among a form's values."""
    items = value if isinstance(value, list) else [value]
    return tuple(item for item in items if isinstance(item, Incoming))
