"""What `connector doctor` sees of each connection's webhook: as the audit left it, and in Procore.

Procore is asked with the owner's authorization, of which the token service hands out short-lived
access tokens; no secret of Procore's is needed here.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from connector.findings import Finding, Ill
from connector.hook_faults import HookSeen, faults_of
from schemas.connections import Connection
from services.errors import ConnectorError
from services.http_client import HttpClient
from services.postgres import CONNECTION_FAULTS, NOT_GRANTED, NOT_MIGRATED, open_postgres
from services.procore.call import Caller, json_of
from services.procore.errors import NotVisible
from services.procore.hooks import HOOK_NAMESPACE, our_hook
from services.procore.models import Place
from services.procore.pacer import Priority
from services.settings import KeyRing
from services.token_client import ConnectionPages, TokenClient, all_connections

MOST_LOOKED_AT = 25
"""Connections whose webhooks are looked at in Procore unasked: five calls each."""
AT_ONCE = 4
MARGIN = 3  # audits that may be late before it is said
NOT_DELIVERED = ("retrying", "failed", "discarded")

AUDITED = """
SELECT project_id, hook_state, hook_message, hook_checked_at,
  coalesce(hook_checked_at, connected_at) < now() - make_interval(secs => $1) AS is_late
FROM mirror.projects
WHERE state = 'active' AND attention_reason IS NULL
ORDER BY project_id
"""


async def audited(database_url: str, *, audit_s: float) -> str:
    """Judge what the workers' audit noted when it last compared each webhook."""
    try:
        async with open_postgres(database_url, max_size=1) as postgres:
            rows = await postgres.fetch(AUDITED, MARGIN * audit_s)
    except (*NOT_GRANTED, *NOT_MIGRATED) as error:
        words = "the role of DATABASE_URL may not read what the audit found"
        raise Ill(words, "Use the sync worker's role, or migrate first.") from error
    except (ConnectorError, *CONNECTION_FAULTS) as error:
        raise Ill("not known while PostgreSQL cannot be asked", "Mend PostgreSQL first.") from error
    faults = [f"{row['project_id']}: {words}" for row in rows if (words := _noted(row))]
    if faults:
        remedy = "Mend what it names; `connector doctor --hooks` looks at each webhook in Procore."
        raise Ill("; ".join(faults), remedy)
    return f"{len(rows)} compared by the workers, all in order"


def _noted(row: Any) -> str:
    if row["hook_state"] == "unchecked":
        return f"could not be compared ({row['hook_message']})"
    if row["is_late"]:
        return "has not been compared for long: no worker does it"
    if row["hook_state"] == "missed":
        return "Procore gave up deliveries; what was missed was listed anew"
    return ""


class HookWatch:
    """Looks at webhooks in Procore."""

    def __init__(
        self, tokens: ConnectionPages, caller: Caller, gateway_url: str, keys: KeyRing
    ) -> None:
        self._tokens = tokens
        self._caller = caller
        self._gateway_url = gateway_url
        self._keys = keys

    async def findings(self, *, whether: bool | None) -> list[Finding]:
        """Return a finding a webhook with a fault, or one that says how many are in order.

        Args:
            whether: to look in Procore; None looks while there are few.
        """
        if whether is False:
            return []
        try:
            listed = all_connections(self._tokens)
            connections = [one async for one in listed if one.state != "disconnected"]
        except ConnectorError as error:
            words, remedy = f"connections are not known ({error})", "Mend the token service first."
            return [Finding("hooks, in procore", ok=False, words=words, remedy=remedy)]
        if whether is None and len(connections) > MOST_LOOKED_AT:
            words = f"not looked at: {len(connections)} connections; --hooks looks at all"
            return [Finding("hooks, in procore", ok=True, words=words)]
        turns = asyncio.Semaphore(AT_ONCE)

        async def one(connection: Connection) -> list[Finding]:
            async with turns:
                return await self._of(connection)

        found = [
            finding
            for findings in await asyncio.gather(*map(one, connections))
            for finding in findings
        ]
        words = f"{len(connections)} looked at, all in order"
        return found or [Finding("hooks, in procore", ok=True, words=words)]

    async def _of(self, connection: Connection) -> list[Finding]:
        check = f"hook of {connection.project_id}"
        try:
            seen = await self._see(connection)
        except ConnectorError as error:
            remedy = "Mend what it names, then look again."
            words = f"cannot be looked at: {error}"
            return [Finding(check, ok=False, words=words, remedy=remedy)]
        faults = faults_of(seen, gateway_url=self._gateway_url, keys=self._keys)
        return [Finding(check, ok=False, words=words, remedy=remedy) for words, remedy in faults]

    async def _see(self, connection: Connection) -> HookSeen:
        project_id = connection.project_id
        listed = await self._list(connection, "", {"namespace": HOOK_NAMESPACE})
        hook = our_hook(listed)
        if hook is None:
            return HookSeen(project_id=project_id, hook=None)
        tail = f"/{quote(str(hook.get('id')), safe='')}"
        start = (datetime.now(UTC) - timedelta(days=1)).date().isoformat()
        deliveries: list[dict[str, Any]] = []
        for status in NOT_DELIVERED:
            asked = {"filter[status]": status, "filter[start]": start}
            try:
                deliveries += await self._list(connection, f"{tail}/deliveries", asked)
            except NotVisible:  # so Procore answers before a hook's first delivery
                continue
        return HookSeen(
            project_id=project_id,
            hook=hook,
            triggers=await self._list(connection, f"{tail}/triggers", {}),
            deliveries=deliveries,
        )

    async def _list(
        self, connection: Connection, tail: str, params: dict[str, str]
    ) -> list[dict[str, Any]]:
        place = Place(
            company_id=connection.procore_company_id, project_id=connection.procore_project_id
        )
        company, project = (quote(one, safe="") for one in (place.company_id, place.project_id))
        answer = await self._caller.read(
            place,
            f"/rest/v2.0/companies/{company}/projects/{project}/webhooks/hooks{tail}",
            whose=connection.owner_user_id,
            priority=Priority.SWEEP,
            params={"page": "1", "per_page": "100", **params},
        )
        body = json_of(answer)
        items = body.get("data") if isinstance(body, dict) else body
        return [one for one in items if isinstance(one, dict)] if isinstance(items, list) else []


@asynccontextmanager
async def hook_watch(
    token_service_urls: Sequence[str],
    procore_api_url: str,
    gateway_url: str,
    keys: KeyRing,
    authorization: Any,
) -> AsyncIterator[HookWatch]:
    """Open the clients of a HookWatch."""
    towards_tokens, towards_procore = HttpClient("token service"), HttpClient("procore")
    try:
        tokens = TokenClient(towards_tokens, tuple(token_service_urls), authorization)
        yield HookWatch(tokens, Caller(towards_procore, procore_api_url, tokens), gateway_url, keys)
    finally:
        await towards_tokens.close()
        await towards_procore.close()
