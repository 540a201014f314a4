"""Projects that are connected, disconnected, taken over and told of."""

import asyncio
from datetime import UTC, datetime

import httpx2
import pytest

from schemas.connections import ProjectOptions
from services.errors import ConnectorError, NeedsPerson
from services.hook_secrets import hook_secret
from services.procore.hooks import TRIGGERS, action_of
from tests.token_service.conftest import BEN, Running
from tests.token_service.connecting import order, posts
from tests.token_service.login_host import LoginHost
from tests.token_service.procore_api_host import RESOURCES, ProcoreHost
from token_service.connections.store import ConnectionStore
from token_service.public.ports import RemovalsConfirmer

pytestmark = pytest.mark.postgres


async def test_a_connection_comes_with_its_hook(
    connections: ConnectionStore, procore: ProcoreHost, running: Running
) -> None:
    await connections.create(order())
    view = await connections.view("p-1")
    assert view is not None
    assert (view.state, view.procore_project_name, view.owner_name) == ("active", "Tower", "Anna")
    ((hook_id, hook),) = procore.hooks.items()
    assert hook["destination_url"] == "https://hooks.connector.example/procore/p-1/1"
    assert (hook["payload_version"], hook["namespace"]) == ("v4.0", "part3-connector")
    key = running.settings.webhook_keys.first.secret
    assert procore.secrets[hook_id] == hook_secret(key, "p-1", 1)
    triggers = {
        (one["resource_name"], action_of(one["event_type"])) for one in procore.triggers[hook_id]
    }
    assert triggers == TRIGGERS
    assert all(
        "procore-company-id" in headers or path in ("/rest/v1.0/me", "/rest/v1.0/companies")
        for headers, (_, path) in zip(procore.headers, procore.calls, strict=True)
    )


async def test_pressing_twice_or_in_two_tabs_is_once(
    connections: ConnectionStore, procore: ProcoreHost
) -> None:
    await asyncio.gather(*(connections.create(order()) for _ in range(4)))
    await connections.create(order(once="another-form-0123456789"))
    assert posts(procore) == 1
    assert len(procore.hooks) == 1


async def test_a_project_goes_with_one_procore_project(
    connections: ConnectionStore, procore: ProcoreHost
) -> None:
    await connections.create(order())
    for other in (order("p-2"), order(procore_project_id="77", once="x" * 30)):
        with pytest.raises(NeedsPerson) as caught:
            await connections.create(other)
        assert caught.value.reason == "already_connected"
        assert "p-1" not in str(caught.value)
        assert "Tower" not in str(caught.value)
    assert len(procore.hooks) == 1
    assert await connections.view("p-2") is None


@pytest.mark.parametrize("what", ["down", "not_installed", "refused", "not_offered"])
async def test_without_its_hook_there_is_no_connection(
    connections: ConnectionStore, procore: ProcoreHost, what: str
) -> None:
    if what == "down":
        procore.down = True
    elif what == "not_installed":
        procore.installed = False
    elif what == "refused":
        procore.next_answers = [httpx2.Response(403, json={"errors": "no"})]
    else:
        procore.resources = RESOURCES[:1]
    with pytest.raises(ConnectorError) as caught:
        await connections.create(order())
    expected = {
        "down": "procore_down",
        "not_installed": "app_not_installed",
        "refused": "not_permitted",
        "not_offered": "hook_refused",
    }[what]
    assert getattr(caught.value, "reason", None) == expected
    assert await connections.view("p-1") is None
    assert await connections.get("p-1") is None
    assert (await connections.changed(None, None)).items == ()
    procore.down, procore.installed, procore.resources = False, True, RESOURCES
    await connections.create(order())  # the same form may be sent again
    view = await connections.view("p-1")
    assert view is not None
    assert view.state == "active"


async def test_a_creator_that_died_is_taken_over(
    connections: ConnectionStore, running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:

        async def die(*_args: object) -> None:
            raise asyncio.CancelledError

        patch.setattr(ConnectionStore, "_activate", die)
        with pytest.raises(asyncio.CancelledError):
            await connections.create(order())
    assert await connections.view("p-1") is None
    await running.database.execute(
        "UPDATE authority.connections SET created_at = now() - interval '5 minutes'"
    )
    await connections.create(order(once="later-0123456789012345"))
    view = await connections.view("p-1")
    assert view is not None
    assert view.state == "active"


async def test_a_claim_of_the_dead_is_cleaned_up(
    connections: ConnectionStore, running: Running, procore: ProcoreHost,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    with monkeypatch.context() as patch:

        async def die(*_args: object) -> None:
            raise asyncio.CancelledError

        patch.setattr(ConnectionStore, "_activate", die)
        with pytest.raises(asyncio.CancelledError):
            await connections.create(order())
    await running.database.execute(
        "UPDATE authority.connections SET created_at = now() - interval '5 minutes'"
    )
    await connections.clean_up()
    assert procore.hooks == {}
    await connections.create(order("p-2"))  # the Procore project is free again


async def test_disconnecting_stops_both_directions_and_removes_the_hook(
    connections: ConnectionStore, procore: ProcoreHost
) -> None:
    await connections.create(order())
    await connections.disconnect("p-1", "anna")
    await connections.disconnect("p-1", "anna")
    connection = await connections.get("p-1")
    assert connection is not None
    assert connection.state == "disconnected"
    assert procore.hooks == {}
    with pytest.raises(NeedsPerson) as caught:
        await connections.create(order())  # the back button, and the old form
    assert caught.value.reason == "form_used"


async def test_connecting_again_begins_a_new_generation(
    connections: ConnectionStore, procore: ProcoreHost
) -> None:
    async def told() -> tuple[datetime, datetime]:
        """Return since when the workers are told that it is connected, and when that changed."""
        connection = await connections.get("p-1")
        assert connection is not None
        assert connection.connected_at is not None
        return connection.connected_at, connection.updated_at

    await connections.create(order())
    first_at, told_at = await told()
    await connections.disconnect("p-1", "anna")
    still_first_at, ended_at = await told()
    await connections.create(order(once="second-form-0123456789"))
    (hook,) = procore.hooks.values()
    assert hook["destination_url"].endswith("/procore/p-1/2")
    again_at, told_again_at = await told()
    assert first_at == still_first_at <= told_at
    assert ended_at < again_at <= told_again_at


async def test_the_other_person_can_remove_what_the_owner_cannot(
    connections: ConnectionStore, procore: ProcoreHost, running: Running, login: LoginHost
) -> None:
    await connections.create(order())
    await running.services.desk.ports.grants.revoke("anna")
    await running.grant("ben", BEN, login)
    await connections.disconnect("p-1", "ben")
    assert procore.hooks == {}


async def test_nothing_is_missed_by_whoever_follows_the_changes(
    connections: ConnectionStore, procore: ProcoreHost
) -> None:
    for number in range(7):
        await connections.create(order(f"p-{number}", procore_project_id=str(900 + number)))
        procore.hooks.clear()
    await connections.disconnect("p-2", "anna")
    seen, cursor = [], None
    while True:
        page = await connections.changed(None, cursor, limit=3)
        seen += [(item.project_id, item.state) for item in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert [project_id for project_id, _ in seen] == [f"p-{n}" for n in (0, 1, 3, 4, 5, 6, 2)]
    assert seen[-1] == ("p-2", "disconnected")


async def test_every_change_has_a_time_of_its_own_that_only_grows(
    connections: ConnectionStore, running: Running, procore: ProcoreHost
) -> None:
    async def change(number: int) -> None:
        await connections.create(order(f"p-{number}", procore_project_id=str(900 + number)))

    await asyncio.gather(*(change(number) for number in range(6)))
    times = [item.updated_at for item in (await connections.changed(None, None)).items]
    assert times == sorted(set(times))
    await running.database.execute("UPDATE authority.connections SET hook_message = 'x'")
    assert [item.updated_at for item in (await connections.changed(None, None)).items] == times
    after: datetime = times[2]
    rest = await connections.changed(after, None)
    assert [item.updated_at for item in rest.items] == times[3:]


async def test_what_a_person_connected_is_listed_for_them(connections: ConnectionStore) -> None:
    await connections.create(order())
    assert [view.project_id for view in await connections.owned_by("anna")] == ["p-1"]
    assert await connections.owned_by("ben") == []
    await connections.disconnect("p-1", "anna")
    assert await connections.owned_by("anna") == []


async def test_that_removals_are_meant_is_told_to_the_workers_as_a_change(
    connections: ConnectionStore, running: Running
) -> None:
    by, until = RemovalsConfirmer("ben", "Ben Ito"), datetime(2026, 11, 28, 9, tzinfo=UTC)
    with pytest.raises(NeedsPerson):
        await connections.confirm_removals("p-1", by, until)
    await connections.create(order())
    before = await connections.get("p-1")
    assert before is not None
    assert before.removals_confirmed is None
    await connections.confirm_removals("p-1", by, until)
    (told,) = (await connections.changed(before.updated_at, None)).items
    assert told.removals_confirmed is not None
    assert (told.removals_confirmed.name, told.removals_confirmed.until) == ("Ben Ito", until)
    written = await running.database.fetchval(
        "SELECT actor FROM authority.audit WHERE event = 'connection.removals_confirmed'"
    )
    assert written == "user:ben"


async def test_what_was_chosen_is_told_to_the_workers_as_a_change(
    connections: ConnectionStore, running: Running
) -> None:
    await connections.create(order())
    before = await connections.get("p-1")
    assert before is not None
    assert before.options == ProjectOptions()
    await connections.choose("p-1", "anna", ProjectOptions(send_emails=True))
    (told,) = (await connections.changed(before.updated_at, None)).items
    assert told.options.send_emails
    view = await connections.view("p-1")
    assert view is not None
    assert view.options.send_emails
    written = await running.database.fetchval(
        "SELECT detail->>'send_emails' FROM authority.audit WHERE event = 'connection.options'"
    )
    assert written == "true"
    # the very same choice again is no change
    await connections.choose("p-1", "anna", ProjectOptions(send_emails=True))
    assert (await connections.changed(told.updated_at, None)).items == ()
    await connections.disconnect("p-1", "anna")
    with pytest.raises(NeedsPerson) as caught:
        await connections.choose("p-1", "anna", ProjectOptions())
    assert caught.value.reason == "not_connected"


async def test_another_owner_is_told_to_the_workers_and_minds_the_hook(
    connections: ConnectionStore, running: Running, login: LoginHost, procore: ProcoreHost
) -> None:
    await connections.create(order())
    before = await connections.get("p-1")
    assert before is not None
    await running.grant("ben", BEN, login)
    await connections.take_over("p-1", before.procore_project_id, "ben", "Ben")
    (told,) = (await connections.changed(before.updated_at, None)).items
    assert (told.owner_user_id, told.state) == ("ben", "active")
    procore.hooks.clear()
    outcome = await connections.ensure_hook("p-1")
    assert outcome is not None
    assert outcome.state == "created"
    tokens = {token for token, account in procore.accounts.items() if account == BEN}
    assert procore.headers[-1]["authorization"].removeprefix("Bearer ") in tokens
    actor = "SELECT actor FROM authority.audit WHERE event = 'connection.owner'"
    assert await running.database.fetchval(actor) == "user:ben"


async def test_nobody_owns_what_was_tied_elsewhere_meanwhile(connections: ConnectionStore) -> None:
    await connections.create(order())
    for elsewhere in ("another", None):
        known = await connections.get("p-1")
        assert known is not None
        if elsewhere is None:
            await connections.disconnect("p-1", "anna")
        with pytest.raises(NeedsPerson) as caught:
            await connections.take_over("p-1", elsewhere or known.procore_project_id, "ben", "Ben")
        assert caught.value.reason == "not_connected"


async def test_a_wrong_project_is_unlinked_once_and_connecting_again_forgets_it(
    connections: ConnectionStore, procore: ProcoreHost, running: Running
) -> None:
    await connections.create(order())
    await connections.unlink("p-1", "anna")
    told = await connections.get("p-1")
    assert told is not None
    assert (told.state, told.unlinked) == ("disconnected", True)
    assert procore.hooks == {}
    await connections.unlink("p-1", "anna")
    again = await connections.get("p-1")
    assert again == told
    count = "SELECT count(*) FROM authority.audit WHERE event = 'connection.unlinked'"
    assert await running.database.fetchval(count) == 1
    await connections.create(order(once="another-form-of-some-length"))
    anew = await connections.get("p-1")
    assert anew is not None
    assert (anew.state, anew.unlinked) == ("active", False)


async def test_what_was_disconnected_first_is_unlinked_too_and_told(
    connections: ConnectionStore,
) -> None:
    await connections.create(order())
    await connections.disconnect("p-1", "anna")
    before = await connections.get("p-1")
    assert before is not None
    await connections.unlink("p-1", "anna")
    (told,) = (await connections.changed(before.updated_at, None)).items
    assert told.unlinked
