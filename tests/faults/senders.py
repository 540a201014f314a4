"""What the two sides would send, sent again by a test."""

import json
from typing import Any

import httpx2

from connector.demo.worlds import PROJECT_ID
from services.hook_secrets import hook_secret
from services.settings import Reader
from tests.faults.workload import Item, Work

ANSWER_WITHIN_S = 4.5
"""Procore hangs up after 5 s."""


async def event_of(work: Work, item: Item) -> tuple[dict[str, Any], str]:
    """Return the newest event of a record with its address."""
    deliveries = (await work.lab.site.procore_ledger())["deliveries"]
    found = [one for one in deliveries if item.procore_id in one["payload"]]
    return json.loads(found[-1]["payload"]), found[-1]["endpoint"]


async def post_procore_event(work: Work, item: Item, **changed: Any) -> int | None:
    """Post a record's newest event as Procore does; None when no answer came in time."""
    payload, url = await event_of(work, item)
    lab = work.lab
    key = Reader(lab.stack.environment).key_ring("WEBHOOK_SECRET_KEYS").first.secret
    headers = {"authorization": hook_secret(key, PROJECT_ID, int(url.rsplit("/", 1)[1]))}
    try:
        answer = await lab.site.http.post(
            url, json={**payload, **changed}, headers=headers, timeout=ANSWER_WITHIN_S
        )
    except httpx2.HTTPError as error:
        lab.history.note("unknown", "event", procore_id=item.procore_id, cause=type(error).__name__)
        return None
    lab.history.note("act", "event", procore_id=item.procore_id, status=answer.status_code)
    return answer.status_code
