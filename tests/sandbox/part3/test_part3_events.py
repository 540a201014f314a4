import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from sandbox.part3.events import LONGEST_PAUSE_S, Dispatcher, pause_s
from sandbox.part3.faults import Orders, Rule
from sandbox.part3.house import House
from sandbox.part3.seeding import Seed, seed
from schemas.notices import Part3Notice
from tests.sandbox.part3.conftest import (
    PROJECT,
    WEBHOOK_SECRET,
    Part3Api,
    a_record,
    a_settings,
    events_of,
)
from webhook_gateway.part3 import is_authentic, read_claim, read_part3, secret_of


class Gateway:
    """Takes events as the connector's gateway does: by the library's own verification."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, dict[str, Any]]] = []
        self.headers: list[httpx2.Headers] = []
        self.bodies: list[bytes] = []
        self.answers: list[int] = []  # what to answer first; then 202
        self.woken = asyncio.Event()

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        assert str(request.url) == "http://gateway.test/part3/events"
        body = Webhook(WEBHOOK_SECRET).verify(request.content, dict(request.headers))
        self.headers.append(request.headers)
        self.bodies.append(request.content)
        status = self.answers.pop(0) if self.answers else 202
        if status == 202:
            self.taken.append((request.headers["webhook-id"], body))
        self.woken.set()
        return httpx2.Response(status)

    async def until_taken(self, count: int) -> None:
        async with asyncio.timeout(20):
            while len(self.taken) < count:
                self.woken.clear()
                await self.woken.wait()


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


@contextlib.asynccontextmanager
async def sending(house: House, gateway: Gateway) -> AsyncIterator[None]:
    async with httpx2.AsyncClient(transport=httpx2.MockTransport(gateway)) as client:
        dispatcher = Dispatcher(
            house.outbox,
            house.faults,
            client,
            url="http://gateway.test/part3/events",
            secret=WEBHOOK_SECRET,
        )
        task = asyncio.create_task(dispatcher.run())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


async def test_a_return_is_told_with_a_signature_that_verifies(
    api: Part3Api, house: House, gateway: Gateway
) -> None:
    await api.put_record(a_record())
    async with sending(house, gateway):
        made = await api.make_return()
        await gateway.until_taken(1)
    _, body = gateway.taken[0]
    assert body["type"] == "return.created"
    assert body["data"] == {
        "project_id": PROJECT,
        "kind": "rfi",
        "procore_id": "101",
        "return_id": made["id"],
        "user_id": "usr_maya",
    }
    assert body["timestamp"].endswith("Z")
    assert gateway.headers[0]["content-type"] == "application/json"


async def test_the_connectors_gateway_reads_what_part3_sends(
    api: Part3Api, house: House, gateway: Gateway
) -> None:
    await api.put_record(a_record())
    async with sending(house, gateway):
        made = await api.make_return()
        await gateway.until_taken(1)
    sent = gateway.headers[0]
    values = [[sent[f"webhook-{name}"].encode()] for name in ("id", "timestamp", "signature")]
    claim = read_claim(*values, now=int(sent["webhook-timestamp"]))
    assert claim is not None
    body = gateway.bodies[0]
    assert is_authentic(claim, body, [secret_of(WEBHOOK_SECRET)])
    notice = read_part3(body, claim)
    assert isinstance(notice, Part3Notice)
    assert (notice.project_id, notice.return_id) == (PROJECT, made["id"])


async def test_an_event_refused_is_sent_again_under_its_id_and_signed_anew(
    api: Part3Api, house: House, gateway: Gateway
) -> None:
    gateway.answers = [503, 401]
    await api.put_record(a_record())
    async with sending(house, gateway):
        await api.make_return()
        await gateway.until_taken(1)
    assert len({headers["webhook-id"] for headers in gateway.headers}) == 1
    assert len({headers["webhook-timestamp"] for headers in gateway.headers}) > 1
    assert len({headers["webhook-signature"] for headers in gateway.headers}) > 1
    assert len(await api.effects("event.refused")) == 2
    assert house.outbox.waiting() == 0


async def test_one_refused_event_does_not_keep_back_the_next(
    api: Part3Api, house: House, gateway: Gateway
) -> None:
    gateway.answers = [503]
    await api.put_record(a_record())
    async with sending(house, gateway):
        first = await api.make_return()
        await asyncio.wait_for(gateway.woken.wait(), 10)
        second = await api.make_return()
        await gateway.until_taken(2)
    told = [body["data"]["return_id"] for _, body in gateway.taken]
    assert told == [second["id"], first["id"]]


async def test_undelivered_events_outlive_a_restart(tmp_path: Path, gateway: Gateway) -> None:
    before = House(a_settings(tmp_path))
    seed(before, Seed())
    event_id = before.outbox.add("record.changed", project_id=PROJECT, kind="rfi", procore_id="1")
    before.store.close()
    after = House(a_settings(tmp_path))
    async with sending(after, gateway):
        await gateway.until_taken(1)
    after.store.close()
    assert gateway.taken[0][0] == event_id


async def test_every_change_has_its_event(api: Part3Api, house: House) -> None:
    await api.put_record(a_record())
    made = await api.make_return()
    await api.report(made["id"], "held", reason="question_changed")
    await api.sandbox(f"returns/{made['id']}/confirm", project_id=PROJECT)
    await api.sandbox(f"returns/{made['id']}/withdraw", project_id=PROJECT)
    await api.sandbox(
        "members",
        project_id=PROJECT,
        company="Northside Builders",
        role="general_contractor",
        name="Dana Whitfield",
        email="dana@northside.example",
    )
    house.people.archive(PROJECT)
    house.people.archive(PROJECT)
    assert [event["type"] for event in events_of(house)] == [
        "return.created",
        "return.confirmed",
        "return.withdrawn",
        "member.changed",
        "project.archived",
    ]
    assert all(event["data"]["project_id"] == PROJECT for event in events_of(house))


async def test_the_connectors_own_puts_are_not_echoed(api: Part3Api, house: House) -> None:
    await api.put_record(a_record())
    await api.put_record(a_record(title="second"))
    assert events_of(house) == []


async def test_a_dropped_event_is_never_sent(house: House, gateway: Gateway) -> None:
    house.faults.set(Orders(rules=[Rule(on="event", fault="drop", times=1)]))
    async with sending(house, gateway):
        house.outbox.add("record.changed", project_id=PROJECT, procore_id="lost")
        house.outbox.add("record.changed", project_id=PROJECT, procore_id="kept")
        await gateway.until_taken(1)
    assert [body["data"]["procore_id"] for _, body in gateway.taken] == ["kept"]
    assert house.outbox.waiting() == 0


async def test_a_duplicated_event_comes_twice_under_one_id(house: House, gateway: Gateway) -> None:
    house.faults.set(Orders(rules=[Rule(on="event", fault="duplicate", copies=3)]))
    async with sending(house, gateway):
        house.outbox.add("record.changed", project_id=PROJECT)
        await gateway.until_taken(3)
    assert len({event_id for event_id, _ in gateway.taken}) == 1


async def test_a_reordered_event_lets_later_ones_pass(house: House, gateway: Gateway) -> None:
    rule = Rule(on="event", fault="reorder", ms=300, times=1, event="return.created")
    house.faults.set(Orders(rules=[rule]))
    async with sending(house, gateway):
        house.outbox.add("return.created", project_id=PROJECT)
        house.outbox.add("return.withdrawn", project_id=PROJECT)
        await gateway.until_taken(2)
    assert [b["type"] for _, b in gateway.taken] == ["return.withdrawn", "return.created"]


async def test_a_slow_event_is_overtaken_by_the_one_beside_it(
    house: House, gateway: Gateway
) -> None:
    rule = Rule(on="event", fault="latency", ms=300, event="return.created")
    house.faults.set(Orders(rules=[rule]))
    for event_type in ("return.created", "return.withdrawn"):
        house.outbox.add(event_type, project_id=PROJECT)
    async with sending(house, gateway):
        await gateway.until_taken(2)
    assert [b["type"] for _, b in gateway.taken] == ["return.withdrawn", "return.created"]


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_the_pause_grows_to_its_longest_and_is_never_none(attempts: int, chance: float) -> None:
    assert 0 < pause_s(attempts, chance) <= LONGEST_PAUSE_S
    assert pause_s(attempts, chance) <= pause_s(attempts + 1, chance)


async def test_an_event_holds_nothing_but_what_the_contract_names(
    api: Part3Api, house: House
) -> None:
    await api.put_record(a_record())
    await api.make_return(text="the answer itself", team_note="among us")
    text = json.dumps(events_of(house))
    assert "the answer itself" not in text
    assert "among us" not in text
    allowed = {"project_id", "kind", "procore_id", "return_id", "user_id"}
    assert set(events_of(house)[0]["data"]) <= allowed
