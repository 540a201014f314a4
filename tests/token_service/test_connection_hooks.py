"""The hook of a connection: made whole, looked after, and removed, if need be later."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from services.errors import NeedsPerson, TryLater
from services.hook_secrets import hook_secret
from services.procore.hooks import TRIGGERS
from tests.token_service.conftest import Part3Host, Running, replica, ring
from tests.token_service.connecting import order
from tests.token_service.procore_api_host import ProcoreHost
from token_service.connections.store import ConnectionStore

pytestmark = pytest.mark.postgres


async def test_a_half_made_hook_does_not_stay(
    connections: ConnectionStore, procore: ProcoreHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(procore, "add_triggers", lambda *_: None)
        with pytest.raises(TryLater):
            await connections.create(order())
    assert procore.hooks == {}


async def test_what_a_bulk_call_left_out_is_made_one_by_one(
    connections: ConnectionStore, procore: ProcoreHost
) -> None:
    procore.partial_bulk = True
    await connections.create(order())
    assert len(next(iter(procore.triggers.values()))) == len(TRIGGERS)


async def test_while_procore_is_away_the_hook_goes_later(
    connections: ConnectionStore, procore: ProcoreHost, running: Running
) -> None:
    await connections.create(order())
    procore.down = True
    await connections.disconnect("p-1", "anna")
    view = await connections.view("p-1")
    assert view is not None
    assert view.state == "disconnected"
    procore.down = False
    assert len(procore.hooks) == 1
    await running.database.execute("UPDATE authority.hook_removals SET due_at = now()")
    await connections.clean_up()
    assert procore.hooks == {}
    assert await running.database.fetchval("SELECT count(*) FROM authority.hook_removals") == 0


async def test_a_late_removal_spares_the_next_generations_hook(
    connections: ConnectionStore, procore: ProcoreHost, running: Running
) -> None:
    await connections.create(order())
    procore.down = True
    await connections.disconnect("p-1", "anna")
    procore.down = False
    await connections.create(order(once="second-form-0123456789"))
    await running.database.execute("UPDATE authority.hook_removals SET due_at = now()")
    await connections.clean_up()
    assert len(procore.hooks) == 1


@pytest.mark.parametrize(
    "what", ["address", "secret", "status", "payload version", "triggers", "gone"]
)
async def test_a_hook_that_is_not_as_it_should_be_is_mended(
    connections: ConnectionStore, procore: ProcoreHost, running: Running, what: str
) -> None:
    await connections.create(order())
    ((hook_id, hook),) = procore.hooks.items()
    good = dict(hook), procore.secrets[hook_id]
    match what:
        case "address":
            hook["destination_url"] = "https://elsewhere.example"
        case "secret":
            procore.secrets[hook_id] = "Bearer of something else"
        case "status":
            hook["status"] = "disabled"
        case "payload version":
            hook["payload_version"] = "v2.0"
        case "triggers":
            procore.triggers[hook_id].pop()
        case _:
            procore.hooks.clear()
    await running.database.execute("ALTER TABLE mirror.records RENAME TO not_read_for_it")
    outcome = await connections.ensure_hook("p-1")
    await running.database.execute("ALTER TABLE mirror.not_read_for_it RENAME TO records")
    assert outcome is not None
    assert outcome.state == ("created" if what == "gone" else "repaired")
    assert what == "gone" or what in outcome.detail
    ((hook_id, hook),) = procore.hooks.items()
    assert (hook | {"id": "1"}, procore.secrets[hook_id]) == (good[0] | {"id": "1"}, good[1])
    assert len(procore.triggers[hook_id]) == len(TRIGGERS)
    again = await connections.ensure_hook("p-1")
    assert again is not None
    assert again.state == "ok"


@pytest.mark.parametrize("status", ["discarded", "failed"])
async def test_deliveries_that_procore_gave_up_are_told_once(
    status: str, connections: ConnectionStore, procore: ProcoreHost
) -> None:
    await connections.create(order())

    async def state() -> str:
        outcome = await connections.ensure_hook("p-1")
        assert outcome is not None
        return outcome.state

    assert await state() == "ok"
    procore.deliveries.append({"id": "01H1", "status": status})
    assert await state() == "missed"
    assert await state() == "ok"
    procore.deliveries.append({"id": "01H2", "status": status})
    assert await state() == "missed"


async def test_deliveries_are_asked_for_once_there_can_be_one(
    connections: ConnectionStore, procore: ProcoreHost, running: Running
) -> None:
    await connections.create(order())
    (hook,) = procore.hooks.values()
    hook["created_at"] = "2026-03-02T10:00:00Z"
    seen = (
        "INSERT INTO mirror.records (project_id, kind, procore_id, procore_updated_at) "
        "VALUES ($1, 'rfi', $2, $3)"
    )

    async def asked() -> bool:
        procore.calls.clear()
        outcome = await connections.ensure_hook("p-1")
        assert outcome is not None
        assert outcome.state == "ok"
        return any(path.endswith("/deliveries") for _, path in procore.calls)

    made_at = datetime(2026, 3, 2, 10, tzinfo=UTC)
    await running.database.execute(seen, "p-2", "1", made_at + timedelta(hours=1))
    await running.database.execute(seen, "p-1", "1", made_at - timedelta(hours=1))
    assert not await asked()  # it would be a 404
    await running.database.execute(seen, "p-1", "2", made_at + timedelta(seconds=1))
    assert await asked()


async def test_a_rotated_key_reaches_the_hook(
    connections: ConnectionStore, procore: ProcoreHost, part3: Part3Host, running: Running
) -> None:
    await connections.create(order())
    rotated = replace(running.settings, webhook_keys=ring("w2"))
    async with replica(rotated, running.database, procore, part3) as other:
        outcome = await other.services.connections.ensure_hook("p-1")
    assert outcome is not None
    assert (outcome.state, outcome.key_id) == ("repaired", "w2")
    assert procore.secrets["1"] == hook_secret(rotated.webhook_keys.first.secret, "p-1", 1)


async def test_a_hook_that_cannot_be_mended_says_why(
    connections: ConnectionStore, procore: ProcoreHost, running: Running
) -> None:
    await connections.create(order())
    procore.installed = False
    with pytest.raises(NeedsPerson) as caught:
        await connections.ensure_hook("p-1")
    assert caught.value.reason == "app_not_installed"
    row = await running.database.fetchrow(
        "SELECT hook_state, hook_message FROM authority.connections"
    )
    assert row is not None
    assert row["hook_state"] == "failed"
    assert "not installed" in row["hook_message"]


async def test_a_hook_of_a_project_disconnected_meanwhile_does_not_come_back(
    connections: ConnectionStore, procore: ProcoreHost, running: Running,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    await connections.create(order())
    procore.hooks.clear()
    checking = connections._hooks.ensure

    async def disconnect_first(place: object, **known: object) -> object:
        await connections.disconnect("p-1", "anna")
        return await checking(place, **known)  # type: ignore[arg-type]

    monkeypatch.setattr(connections._hooks, "ensure", disconnect_first)
    assert await connections.ensure_hook("p-1") is None
    await running.database.execute("UPDATE authority.hook_removals SET due_at = now()")
    await connections.clean_up()
    assert procore.hooks == {}
