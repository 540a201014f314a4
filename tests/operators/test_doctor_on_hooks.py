"""`connector doctor` on webhooks: what is wrong, from how Procore and the audit show it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connector.findings import Ill
from connector.hook_checks import MOST_LOOKED_AT, HookWatch, audited
from connector.hook_faults import HookSeen, faults_of
from schemas.connections import Connection, ConnectionPage
from services.hook_secrets import hook_secret, hook_url
from services.postgres import migrate, open_postgres
from services.procore.hooks import HOOK_NAMESPACE, PAYLOAD_VERSION
from services.settings import KeyRing, Reader
from tests.operators.running import KEY
from tests.procore_client.sides import Side, caller_to, json_answer

GATEWAY = "https://gateway.example"
KEYS: KeyRing = Reader({"WEBHOOK_SECRET_KEYS": f"w1:{KEY}"}).key_ring("WEBHOOK_SECRET_KEYS")
TRIGGERS = [
    {"resource_name": resource, "event_type": event}
    for resource in ("RFIs", "RFI Replies", "Submittals")
    for event in ("CREATED", "UPDATE", "delete")
]


def a_hook(**changed: Any) -> dict[str, Any]:
    shown = "****" + hook_secret(KEYS.first.secret, "p/1", 7)[-5:]
    return {
        "id": "31",
        "namespace": HOOK_NAMESPACE,
        "status": "active",
        "payload_version": PAYLOAD_VERSION,
        "destination_url": hook_url(GATEWAY, "p/1", 7),
        "destination_headers": {"Authorization": shown},
        **changed,
    }


def faults(**seen: Any) -> list[tuple[str, str]]:
    whole = {"project_id": "p/1", "hook": a_hook(), "triggers": TRIGGERS} | seen
    return faults_of(HookSeen(**whole), gateway_url=GATEWAY, keys=KEYS)


def test_a_hook_in_order_has_no_faults() -> None:
    assert faults() == []


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        ({"hook": None}, "there is none"),
        ({"hook": a_hook(status="disabled")}, "it is disabled"),
        ({"hook": a_hook(payload_version="v2.0")}, "payloads of version v2.0 instead of v4.0"),
        ({"hook": a_hook(destination_url="https://old.example/procore/p%2F1/7")}, "it leads to"),
        ({"hook": a_hook(destination_url=hook_url(GATEWAY, "p2", 7))}, "it leads to"),
        ({"hook": a_hook(destination_url=f"{GATEWAY}/procore/p%2F1/07")}, "it leads to"),
        ({"hook": a_hook(destination_headers=None)}, "its secret"),
        ({"hook": a_hook(destination_url=hook_url(GATEWAY, "p/1", 8))}, "its secret"),
        ({"triggers": TRIGGERS[1:]}, "does not subscribe to RFIs create"),
    ],
)
def test_each_fault_of_a_hook_is_named_with_what_mends_it(seen: dict[str, Any], words: str) -> None:
    ((said, remedy),) = faults(**seen)
    assert words in said
    assert "connector rotate hooks --project p/1" in remedy


def test_failing_deliveries_are_counted_and_the_last_answer_told() -> None:
    attempts = [
        {"started_at": "2026-09-01T10:00:00Z", "response_status": None},
        {"started_at": "2026-09-01T10:00:09Z", "response_status": 503},
        {"started_at": "2026-09-01T10:00:02Z", "response_status": 500},
    ]
    ((said, remedy),) = faults(
        deliveries=[
            {"status": "retrying", "delivery_attempts": attempts},
            {"status": "discarded"},
            {"status": "retrying"},
        ]
    )
    assert "1 discarded, 2 retrying; the last attempt got status 503" in said
    assert "gateway" in remedy


class Told:
    """The token service's part: who is connected."""

    def __init__(self, count: int) -> None:
        self.all = tuple(
            Connection(
                project_id=f"p{number}",
                state="active",
                procore_company_id="77",
                procore_project_id=str(number),
                owner_user_id="amy",
                updated_at=datetime.now(UTC),
            )
            for number in range(count)
        )

    async def connections(
        self, *, updated_after: datetime | None, cursor: str | None
    ) -> ConnectionPage:
        assert updated_after is None
        half = len(self.all) // 2
        if cursor is None and half:
            return ConnectionPage(items=self.all[:half], next_cursor="rest")
        return ConnectionPage(items=self.all[half:])


def watch(side: Side, count: int) -> HookWatch:
    return HookWatch(Told(count), caller_to(side), GATEWAY, KEYS)


async def test_many_connections_are_looked_at_only_when_asked_for() -> None:
    side = Side([json_answer({"data": []})])
    (unasked,) = await watch(side, MOST_LOOKED_AT + 1).findings(whether=None)
    assert unasked.ok
    assert side.requests == []
    asked = await watch(side, MOST_LOOKED_AT + 1).findings(whether=True)
    assert len(asked) == len(side.requests) == MOST_LOOKED_AT + 1
    assert {one.ok for one in asked} == {False}
    assert await watch(side, 1).findings(whether=False) == []
    (few,) = await watch(side, 1).findings(whether=None)
    assert few.check == "hook of p0"


async def test_a_hook_that_may_not_be_looked_at_is_a_fault_of_its_own() -> None:
    side = Side([json_answer({"errors": ["no"]}, 403)])
    (found,) = await watch(side, 1).findings(whether=None)
    assert not found.ok
    assert "cannot be looked at" in found.words


@asynccontextmanager
async def projects(database: str, *rows: tuple[str | None, Any]) -> AsyncIterator[None]:
    """Rows of mirror.projects: hook_state, and when it was compared; connected a week ago."""
    await migrate(database, ("token_service", "sync_worker"))
    async with open_postgres(database, max_size=1) as postgres:
        for number, (state, at) in enumerate(rows):
            await postgres.execute(
                "INSERT INTO mirror.projects (project_id, procore_company_id, procore_project_id,"
                " owner_user_id, reader_user_id, state, connection_updated_at, connected_at,"
                " hook_state, hook_message, hook_checked_at)"
                " VALUES ($1, '77', $1, 'amy', 'amy', 'active', now(), now() - interval '7 days',"
                " $2, 'no grant', $3)",
                f"p{number}",
                state,
                at,
            )
    yield


@pytest.mark.postgres
async def test_what_the_audit_could_not_compare_gave_up_or_left_undone_is_told(
    database: str,
) -> None:
    now = datetime.now(UTC)
    old = now - timedelta(days=2)
    rows: list[tuple[str | None, Any]] = [
        ("ok", now),
        ("unchecked", now),
        ("missed", now),
        ("ok", old),
        (None, None),
    ]
    async with projects(database, *rows, ("repaired", now)):
        with pytest.raises(Ill) as ill:
            await audited(database, audit_s=3600)
    said = ill.value.words
    assert "p1: could not be compared (no grant)" in said
    assert "p2: Procore gave up deliveries" in said
    assert "p3: has not been compared" in said
    assert "p4: has not been compared" in said
    assert "p0" not in said
    assert "p5" not in said


@pytest.mark.postgres
async def test_hooks_that_the_audit_found_in_order_are_well(database: str) -> None:
    async with projects(database, ("ok", datetime.now(UTC))):
        assert "1 compared" in await audited(database, audit_s=3600)
