"""The one webhook of a connected project: there, active, with our address, secret and triggers.

Procore's v2.0 webhook API. A hook is found by its namespace, then made or mended, so that the same
call can be made any number of times.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, Protocol
from urllib.parse import quote

import structlog

from services.errors import NeedsPerson, TryLater
from services.hook_secrets import hook_secret, hook_url
from services.procore.hooks import (
    HOOK_NAMESPACE,
    PAYLOAD_VERSION,
    SHOWN_CHARACTERS,
    TRIGGERS,
    end_of_secret,
    is_active,
    offered_in,
    our_hook,
    triggers_in,
)
from services.procore.json_values import time_of
from services.settings import KeyRing
from token_service.connections.procore_api import NOT_FOUND, Answer

GIVEN_UP = ("discarded", "failed")
BAD_REQUEST = 400
ChangedSince = Callable[[datetime], Awaitable[bool]]

log = structlog.get_logger()


class Api(Protocol):
    """Procore's REST API under a person's grant."""

    async def call(
        self,
        user_id: str,
        method: str,
        path: str,
        *,
        company_id: str | None,
        params: Mapping[str, str] | None = None,
        json: Any = None,
        accept: Sequence[int] = (),
    ) -> Answer:
        """Make one call. Raises NeedsPerson or TryLater."""

    async def all_pages(
        self,
        user_id: str,
        path: str,
        *,
        company_id: str | None,
        params: Mapping[str, str] | None = None,
    ) -> list[dict[str, Any]]:
        """Return the objects of all pages of a list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HookPlace:
    """Which hook: the Part3 project and generation it is for, and where it is in Procore."""

    project_id: str
    generation: int
    company_id: str
    procore_project_id: str
    user_id: str  # under whose grant

    @property
    def path(self) -> str:
        """The project's webhooks in Procore."""
        company, project = quote(self.company_id, safe=""), quote(self.procore_project_id, safe="")
        return f"/rest/v2.0/companies/{company}/projects/{project}/webhooks"


@dataclass(frozen=True, slots=True)
class HookOutcome:
    """How a hook was found. `detail` says in a sentence what was done."""

    hook_id: str
    state: Literal["ok", "created", "repaired", "missed"]
    detail: str
    key_id: str


class Hooks:
    """Makes, mends and deletes hooks. All methods raise NeedsPerson and TryLater."""

    def __init__(self, api: Api, keys: KeyRing, gateway_public_url: str) -> None:
        self._api = api
        self._key = keys.first
        self._gateway_public_url = gateway_public_url
        self._given_up: dict[str, frozenset[str]] = {}  # by hook: deliveries known to be lost

    async def ensure(
        self, place: HookPlace, *, changed_since: ChangedSince | None = None
    ) -> HookOutcome:
        """Make sure that the project's hook is as it should be.

        Args:
            place: which hook.
            changed_since: tells whether a record is known to have changed since a moment, by
                Procore's clock; asked only about a hook with nothing to mend. None: none has.

        Raises:
            NeedsPerson: also `hook_refused`, when Procore does not offer what we subscribe to.
        """
        wanted = self._wanted(place)
        for last in (False, True):
            hook = await self._find(place)
            if hook is not None:
                return await self._mend(place, hook, wanted, changed_since)
            await self._check_offer(place)
            made = await self._call(place, "POST", "/hooks", json=wanted, accept=(BAD_REQUEST,))
            if made.status != BAD_REQUEST:
                return await self._finish_made(place, made)
            if last:
                break  # the namespace is taken, but not by a hook that we can see
        raise NeedsPerson(
            "Procore refuses to make this project's webhook; "
            "ask a Procore project administrator to look at the project's webhooks",
            reason="hook_refused",
        )

    async def remove(self, place: HookPlace) -> bool:
        """Delete the project's hook, if it is ours; its triggers go with it. True if there was one.

        A hook whose address is another project's or generation's is left alone.
        """
        hook = await self._find(place)
        ours = hook_url(self._gateway_public_url, place.project_id, place.generation)
        if hook is None or hook.get("destination_url") != ours:
            return False
        path = f"/hooks/{quote(_hook_id(hook), safe='')}"
        await self._call(place, "DELETE", path, accept=(NOT_FOUND,))
        return True

    def _wanted(self, place: HookPlace) -> dict[str, Any]:
        secret = hook_secret(self._key.secret, place.project_id, place.generation)
        return {
            "payload_version": PAYLOAD_VERSION,
            "namespace": HOOK_NAMESPACE,
            "destination_url": hook_url(
                self._gateway_public_url, place.project_id, place.generation
            ),
            "destination_headers": {"Authorization": secret},
        }

    async def _find(self, place: HookPlace) -> Mapping[str, Any] | None:
        listed = await self._api.all_pages(
            place.user_id,
            f"{place.path}/hooks",
            company_id=place.company_id,
            params={"namespace": HOOK_NAMESPACE},
        )
        return our_hook(listed)

    async def _finish_made(self, place: HookPlace, made: Answer) -> HookOutcome:
        hook_id = _hook_id(made.data)
        await self._add_triggers(place, hook_id)
        log.info("hook.created", project_id=place.project_id, generation=place.generation)
        return HookOutcome(hook_id, "created", "The webhook was made.", self._key.id)

    async def _mend(
        self,
        place: HookPlace,
        hook: Mapping[str, Any],
        wanted: Mapping[str, Any],
        changed_since: ChangedSince | None,
    ) -> HookOutcome:
        hook_id = _hook_id(hook)
        wrong = wrong_parts(hook, wanted)
        if wrong:
            change = {**wanted, "status": "active"}
            await self._call(place, "PATCH", f"/hooks/{quote(hook_id, safe='')}", json=change)
        if await self._add_triggers(place, hook_id):
            wrong.append("triggers")
        if wrong:
            log.warning("hook.repaired", project_id=place.project_id, parts=wrong)
            detail = f"The webhook was mended: {', '.join(wrong)}."
            return HookOutcome(hook_id, "repaired", detail, self._key.id)
        had_some = await may_have_delivered(hook, changed_since)
        if had_some and await self._lost_deliveries(place, hook_id):
            detail = "Procore gave up some deliveries of the webhook."
            return HookOutcome(hook_id, "missed", detail, self._key.id)
        return HookOutcome(hook_id, "ok", "The webhook is as it should be.", self._key.id)

    async def _lost_deliveries(self, place: HookPlace, hook_id: str) -> bool:
        """Tell whether Procore gave up deliveries since we last asked, yesterday's included.

        It pauses an endpoint behind a failing delivery and throws the queue away after 12 hours.
        What is already known is remembered by this process alone: after a restart the project is
        listed once more than needed.
        """
        path = f"/hooks/{quote(hook_id, safe='')}/deliveries"
        start = (datetime.now(UTC) - timedelta(days=1)).date().isoformat()
        lost: set[str] = set()
        for status in GIVEN_UP:
            asked = {"filter[status]": status, "filter[start]": start, "per_page": "100"}
            answer = await self._call(place, "GET", path, params=asked, accept=(NOT_FOUND,))
            listed = answer.data if isinstance(answer.data, list) else ()
            lost |= {str(one.get("id")) for one in listed if isinstance(one, dict)}
        known = self._given_up.get(hook_id, frozenset())
        self._given_up[hook_id] = frozenset(lost)
        return bool(lost - known)

    async def _add_triggers(self, place: HookPlace, hook_id: str) -> bool:
        """Subscribe to what is missing; True if something was."""
        missing = TRIGGERS - await self._triggers(place, hook_id)
        if not missing:
            return False
        path = f"/hooks/{quote(hook_id, safe='')}/triggers"
        bulk = [_trigger(*one) for one in sorted(missing)]
        answer = await self._call(place, "POST", f"{path}/bulk", json=bulk)
        if answer.status == 207:  # noqa: PLR2004 - Multi-Status: some were not made
            for one in sorted(TRIGGERS - await self._triggers(place, hook_id)):
                await self._call(place, "POST", path, json=_trigger(*one), accept=(BAD_REQUEST,))
        if still := TRIGGERS - await self._triggers(place, hook_id):
            names = ", ".join(f"{resource} {action}" for resource, action in sorted(still))
            message = f"Procore did not take all of the webhook's triggers ({names})"
            raise TryLater(message, reason="hook_incomplete")
        return True

    async def _triggers(self, place: HookPlace, hook_id: str) -> frozenset[tuple[str, str]]:
        listed = await self._api.all_pages(
            place.user_id,
            f"{place.path}/hooks/{quote(hook_id, safe='')}/triggers",
            company_id=place.company_id,
        )
        return triggers_in(listed)

    async def _check_offer(self, place: HookPlace) -> None:
        """Fail loudly if Procore does not offer what the mirror lives on."""
        listed = await self._api.all_pages(
            place.user_id,
            f"{place.path}/resources",
            company_id=place.company_id,
            params={"payload_version": PAYLOAD_VERSION},
        )
        if lacking := TRIGGERS - offered_in(listed):
            names = ", ".join(sorted({resource for resource, _ in lacking}))
            message = (
                f"Procore does not offer webhooks for {names} in this project; "
                "ask a Procore project administrator whether the tools are switched on"
            )
            raise NeedsPerson(message, reason="hook_refused")

    async def _call(
        self,
        place: HookPlace,
        method: str,
        tail: str,
        *,
        json: Any = None,
        params: Mapping[str, str] | None = None,
        accept: Sequence[int] = (),
    ) -> Answer:
        return await self._api.call(
            place.user_id,
            method,
            place.path + tail,
            company_id=place.company_id,
            params=params,
            json=json,
            accept=accept,
        )


def wrong_parts(hook: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """Name what of a hook is not as wanted: address, secret, payload version, status."""
    expected = str(wanted["destination_headers"]["Authorization"])[-SHOWN_CHARACTERS:]
    checks = {
        "address": hook.get("destination_url") == wanted["destination_url"],
        "secret": end_of_secret(hook) == expected,
        "payload version": hook.get("payload_version") == wanted["payload_version"],
        "status": is_active(hook),
    }
    return [name for name, right in checks.items() if not right]


async def may_have_delivered(hook: Mapping[str, Any], changed_since: ChangedSince | None) -> bool:
    """Tell whether anything was to be delivered since a hook was made.

    Before the first delivery Procore answers 404 to a question about them, which its Integration
    Health holds against the app. A hook that does not say when it was made is asked about.
    """
    made_at = time_of(hook.get("created_at"))
    if made_at is None:
        return True
    return changed_since is not None and await changed_since(made_at)


def _trigger(resource: str, action: str) -> dict[str, str]:
    return {"resource_name": resource, "event_type": action}


def _hook_id(hook: Any) -> str:
    if not isinstance(hook, dict) or hook.get("id") is None:
        raise TryLater("Procore's answer does not name the webhook", reason="procore_down")
    return str(hook["id"])
