"""What the pages read in Procore: who somebody is, companies, projects, permissions, counts."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from services.errors import TryLater
from services.settings import Secret
from token_service.connections.procore_api import SUCCESS, Answer, Asked, ProcoreApi
from token_service.grants.store import Identity
from token_service.public.ports import (
    Company,
    ProcoreProject,
    RecordCounts,
    ResponseChoice,
    Tool,
    ToolAccess,
)

# Procore does not publish these names, so each tool is known by several, and by its address.
TOOL_NAMES: Mapping[Tool, frozenset[str]] = {
    "rfis": frozenset({"rfi", "rfis"}),
    "submittals": frozenset({"submittal", "submittals", "submittal_log", "submittal_logs"}),
}
NO_ACCESS = "None"


class ProcoreDirectory:
    """Procore as one person sees it. Raises as `ProcoreApi.call`."""

    def __init__(self, api: ProcoreApi) -> None:
        self._api = api

    async def companies(self, user_id: str) -> Sequence[Company]:
        """Return the active companies they belong to."""
        listed = await self._api.all_pages(user_id, "/rest/v1.0/companies", company_id=None)
        return [
            Company(str(item["id"]), _name(item))
            for item in listed
            if item.get("id") is not None and item.get("is_active") is not False
        ]

    async def projects(self, user_id: str, company_id: str) -> Sequence[ProcoreProject]:
        """Return the active projects of a company they are in."""
        listed = await self._api.all_pages(
            user_id,
            "/rest/v1.1/projects",
            company_id=company_id,
            params={"company_id": company_id, "filters[by_status]": "Active"},
        )
        return [
            ProcoreProject(str(item["id"]), _name(item), _text(item.get("project_number")))
            for item in listed
            if item.get("id") is not None and item.get("active") is not False
        ]

    async def tools(
        self, user_id: str, company_id: str, procore_project_id: str
    ) -> Sequence[ToolAccess]:
        """Return their access to the RFIs and Submittals tools, as the permission manifest has it.

        A tool that the manifest does not name is left out.
        """
        answer = await self._api.call(
            user_id,
            "GET",
            "/rest/v1.0/settings/permissions",
            company_id=company_id,
            params={"project_id": procore_project_id},
        )
        return tool_access(answer.content)

    async def counts(self, user_id: str, company_id: str, procore_project_id: str) -> RecordCounts:
        """Count the project's RFIs and submittals from the lists' `Total` header."""
        project = f"projects/{procore_project_id}"
        rfis, submittals = await asyncio.gather(
            self._total(user_id, company_id, f"/rest/v1.0/{project}/rfis"),
            self._total(user_id, company_id, f"/rest/v1.1/{project}/submittals"),
        )
        return RecordCounts(rfis=rfis, submittals=submittals)

    async def responses(
        self, user_id: str, company_id: str, procore_project_id: str
    ) -> Sequence[ResponseChoice]:
        """Return the submittal responses that the project offers."""
        listed = await self._api.all_pages(
            user_id,
            "/rest/v1.0/submittal_responses",
            company_id=company_id,
            params={"project_id": procore_project_id},
        )
        return [
            ResponseChoice(str(item["id"]), _name(item), _text(item.get("considered")) or "")
            for item in listed
            if item.get("id") is not None
        ]

    async def _total(self, user_id: str, company_id: str, path: str) -> int | None:
        params = {"page": "1", "per_page": "1"}
        answer = await self._api.call(user_id, "GET", path, company_id=company_id, params=params)
        total = answer.headers.get("total", "")
        return int(total) if total.isdecimal() else None


async def who_is(api: ProcoreApi, user_id: str, access_token: Secret) -> Identity:
    """Ask Procore whose access token this is, right after a consent of Part3's `user_id`.

    Raises:
        TryLater: Procore does not say.
    """

    async def ask(path: str, **params: str) -> Answer:
        asked = Asked("GET", f"/rest/v1.0{path}", params=params)
        return await api.ask(user_id, access_token.reveal(), asked)

    answer = await ask("/me")
    content = answer.content
    if answer.status not in SUCCESS or not isinstance(content, dict) or not content.get("id"):
        message = f"Procore does not say who consented (status {answer.status})"
        raise TryLater(message, reason="procore_down")
    login = _text(content.get("login")) or ""
    name = _text(content.get("name")) or await _name_by_company(ask)
    name = name or login or f"Procore user {content['id']}"
    return Identity(procore_user_id=str(content["id"]), login=login, name=name)


async def _name_by_company(ask: Callable[..., Awaitable[Answer]]) -> str | None:
    """Return the name that a company's directory has: `/me` names nobody without a company.

    Both calls need no company header under a person's own token. Where they say nothing, the login
    stands for the name, and the consent is good all the same.
    """
    try:
        companies = (await ask("/companies")).content
        listed = companies if isinstance(companies, list) else []
        ids = [one.get("id") for one in listed if isinstance(one, dict)]
        company = next((str(one) for one in ids if one is not None), None)
        if company is None:
            return None
        me = (await ask("/me", company_id=company)).content
    except TryLater:
        return None
    return _text(me.get("name")) if isinstance(me, dict) else None


def tool_access(manifest: Any) -> list[ToolAccess]:
    """Read the permission manifest: the best access to each of the two tools."""
    listed = manifest.get("tools") if isinstance(manifest, dict) else None
    found: dict[Tool, ToolAccess] = {}
    for item in listed if isinstance(listed, list) else ():
        tool = _tool_of(item) if isinstance(item, dict) else None
        if tool is None:
            continue
        access = ToolAccess(tool, item.get("available_for_user") is not False, _level(item))
        if tool not in found or (access.enabled and not found[tool].enabled):
            found[tool] = access
    return list(found.values())


def _tool_of(item: Mapping[str, Any]) -> Tool | None:
    name = (_text(item.get("name")) or "").lower().replace(" ", "_")
    friendly = (_text(item.get("friendly_name")) or "").lower()
    tail = (_text(item.get("url")) or "").lower().split("?")[0].rstrip("/").rsplit("/", 1)[-1]
    for tool, names in TOOL_NAMES.items():
        if name in names or tail in names or friendly in names:
            return tool
    return None


def _level(item: Mapping[str, Any]) -> str:
    level = item.get("user_access_level")
    name = level.get("name") if isinstance(level, dict) else level
    return _text(name) or NO_ACCESS


def _name(item: Mapping[str, Any]) -> str:
    return _text(item.get("name")) or _text(item.get("display_name")) or f"No name ({item['id']})"


def _text(value: Any) -> str | None:
    return value.strip() or None if isinstance(value, str) else None
