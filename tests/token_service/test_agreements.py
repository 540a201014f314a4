"""What the parties decide, kept: one contract for PostgreSQL's store and for the pages' fake."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import asyncpg
import httpx2
import msgspec
import pytest
import pytest_asyncio

from schemas.dispositions import DispositionMap, Party
from services.dispositions import unconfirmed
from services.errors import NeedsPerson
from services.postgres import Postgres, UniqueViolation
from tests.pages.fakes import World
from tests.pages.mirror_rows import connect
from tests.token_service.conftest import ANNA, Running
from tests.token_service.connecting import order
from tests.token_service.login_host import LoginHost
from tests.token_service.test_internal_api import call
from token_service.connections.agreements import DispositionStore
from token_service.public.ports import Decider, Dispositions, ResponseChoice

pytestmark = pytest.mark.postgres
PLACE = ("p-1", "88001")
RECORD_ONLY = ResponseChoice("5", "For Record Only", "for record only")
APPROVED = ResponseChoice("1", "Approved", "approved")
CONNECT = """
INSERT INTO authority.connections (project_id, project_name, procore_company_id,
  procore_company_name, procore_project_id, procore_project_name, owner_user_id, owner_name, state,
  once, activated_at)
VALUES ('p-1', 'Library', '562', 'Harbour', '88001', 'Library', 'u-gina', 'Gina', 'active',
  'once', now())
"""


def party(name: str, of: Party, **changed: str) -> Decider:
    made = Decider(
        project_id="p-1",
        procore_project_id="88001",
        user_id=f"u-{name.lower()}",
        name=name,
        party=of,
    )
    return replace(made, **changed)  # type: ignore[arg-type]


GINA = party("Gina", "general_contractor")
ADA = party("Ada", "prime_consultant")


@pytest_asyncio.fixture(params=["fake", "postgres"])
async def store(request: pytest.FixtureRequest, authority: Postgres) -> AsyncIterator[Dispositions]:
    if request.param == "fake":
        world = World()
        await connect(world)
        yield world.dispositions
    else:
        await authority.execute(CONNECT)
        yield DispositionStore(authority)


async def test_a_proposal_carries_its_proposers_word_only(store: Dispositions) -> None:
    proposal = await store.propose(GINA, "not_reviewed", RECORD_ONLY)
    assert unconfirmed(proposal) == ("prime_consultant",)
    assert (proposal.response.id, proposal.response.name) == ("5", "For Record Only")
    assert [one.id for one in await store.proposals(*PLACE)] == [proposal.id]
    assert await store.proposals("p-1", "other") == []


async def test_both_words_bring_it_into_force_and_the_log_says_so(store: Dispositions) -> None:
    proposal = await store.propose(GINA, "not_reviewed", RECORD_ONLY)
    agreed = await store.confirm(ADA, proposal.id, despite_looser=False)
    assert unconfirmed(agreed) == ()
    assert await store.proposals(*PLACE) == [agreed]
    said = [(one.what, one.name, one.in_force) for one in await store.decisions(*PLACE)]
    assert said == [("confirmed", "Ada", True), ("proposed", "Gina", False)]


async def test_confirming_twice_is_confirming_once(store: Dispositions) -> None:
    proposal = await store.propose(GINA, "not_reviewed", RECORD_ONLY)
    first = await store.confirm(ADA, proposal.id, despite_looser=False)
    assert await store.confirm(ADA, proposal.id, despite_looser=False) == first
    assert await store.confirm(GINA, proposal.id, despite_looser=False) == first
    assert len(await store.decisions(*PLACE)) == 2


async def test_a_looser_one_needs_both_words_given_in_spite_of_it(store: Dispositions) -> None:
    proposal = await store.propose(GINA, "rejected", APPROVED)
    assert unconfirmed(proposal) == ("general_contractor", "prime_consultant")
    for who in (GINA, ADA):
        with pytest.raises(NeedsPerson) as refused:
            await store.confirm(who, proposal.id, despite_looser=False)
        assert refused.value.reason == "looser_response"
    half = await store.confirm(GINA, proposal.id, despite_looser=True)
    assert unconfirmed(half) == ("prime_consultant",)
    whole = await store.confirm(ADA, proposal.id, despite_looser=True)
    assert unconfirmed(whole) == ()


async def test_a_new_proposal_takes_the_open_ones_place(store: Dispositions) -> None:
    old = await store.propose(GINA, "not_reviewed", RECORD_ONLY)
    new = await store.propose(ADA, "not_reviewed", APPROVED)
    assert [one.id for one in await store.proposals(*PLACE)] == [new.id]
    with pytest.raises(NeedsPerson) as refused:
        await store.confirm(ADA, old.id, despite_looser=True)
    assert refused.value.reason == "proposal_gone"


async def test_what_is_in_force_stays_until_another_is(store: Dispositions) -> None:
    first = await store.propose(GINA, "not_reviewed", RECORD_ONLY)
    first = await store.confirm(ADA, first.id, despite_looser=False)
    second = await store.propose(ADA, "not_reviewed", replace(RECORD_ONLY, id="6"))
    assert [one.id for one in await store.proposals(*PLACE)] == [first.id, second.id]
    second = await store.confirm(GINA, second.id, despite_looser=False)
    assert await store.proposals(*PLACE) == [second]


async def test_rows_do_not_touch_each_other(store: Dispositions) -> None:
    one = await store.propose(GINA, "not_reviewed", RECORD_ONLY)
    other = await store.propose(GINA, "proceed_as_noted_record_copy", RECORD_ONLY)
    await store.withdraw(ADA, other.id)
    assert [left.id for left in await store.proposals(*PLACE)] == [one.id]


async def test_either_party_ends_what_is_in_force(store: Dispositions) -> None:
    proposal = await store.propose(GINA, "not_reviewed", RECORD_ONLY)
    await store.confirm(ADA, proposal.id, despite_looser=False)
    await store.withdraw(ADA, proposal.id)
    await store.withdraw(ADA, proposal.id)
    assert await store.proposals(*PLACE) == []
    said = [one.what for one in await store.decisions(*PLACE)]
    assert said == ["withdrawn", "confirmed", "proposed"]


@pytest.mark.parametrize("proposal_id", ["", "0", "-1", "1e3", "٣", "9" * 40, "x", "1; DROP"])
async def test_an_id_that_is_none_of_ours_is_gone(store: Dispositions, proposal_id: str) -> None:
    await store.propose(GINA, "not_reviewed", RECORD_ONLY)
    with pytest.raises(NeedsPerson) as refused:
        await store.confirm(ADA, proposal_id, despite_looser=True)
    assert refused.value.reason == "proposal_gone"
    await store.withdraw(ADA, proposal_id)
    assert len(await store.proposals(*PLACE)) == 1


async def test_nobody_speaks_for_both_parties(store: Dispositions) -> None:
    proposal = await store.propose(GINA, "not_reviewed", RECORD_ONLY)
    turncoat = replace(GINA, party="prime_consultant")
    with pytest.raises(NeedsPerson) as refused:
        await store.confirm(turncoat, proposal.id, despite_looser=False)
    assert refused.value.reason == "same_person"


@pytest.mark.parametrize("changed", [{"project_id": "p-9"}, {"procore_project_id": "other"}])
async def test_only_a_connected_project_is_decided_about(
    store: Dispositions, changed: dict[str, Any]
) -> None:
    proposal = await store.propose(GINA, "not_reviewed", RECORD_ONLY)
    stranger = replace(ADA, **changed)
    for deciding in (
        store.propose(stranger, "not_reviewed", RECORD_ONLY),
        store.confirm(stranger, proposal.id, despite_looser=True),
        store.withdraw(stranger, proposal.id),
    ):
        with pytest.raises(NeedsPerson) as refused:
            await deciding
        assert refused.value.reason == "not_connected"
    assert await store.proposals(*PLACE) == [proposal]


@pytest_asyncio.fixture
async def kept(authority: Postgres) -> DispositionStore:
    await authority.execute(CONNECT)
    return DispositionStore(authority)


async def test_people_who_press_at_once_decide_one_after_the_other(kept: DispositionStore) -> None:
    responses = [replace(RECORD_ONLY, id=str(number)) for number in range(6)]
    made = await asyncio.gather(*(kept.propose(GINA, "not_reviewed", one) for one in responses))
    (open_one,) = await kept.proposals(*PLACE)
    assert open_one.id in {one.id for one in made}
    confirmed = await asyncio.gather(
        *(kept.confirm(ADA, open_one.id, despite_looser=False) for _ in range(4))
    )
    assert {unconfirmed(one) for one in confirmed} == {()}
    said = [one.what for one in await kept.decisions(*PLACE)]
    assert said.count("confirmed") == 1


BREACHES = {
    "one word": "UPDATE authority.dispositions SET state = 'in_force'",
    "one person": "UPDATE authority.dispositions SET prime_user_id = contractor_user_id, "
    "prime_at = now()",
    "looser, unwarned": "UPDATE authority.dispositions SET state = 'in_force', looser = true, "
    "prime_user_id = 'u', prime_at = now()",
    "inbound": "UPDATE authority.dispositions SET disposition = 'void'",
}


@pytest.mark.parametrize("breach", BREACHES.values(), ids=BREACHES)
async def test_the_table_itself_keeps_what_both_parties_mean(
    kept: DispositionStore, authority: Postgres, breach: str
) -> None:
    await kept.propose(GINA, "not_reviewed", RECORD_ONLY)
    with pytest.raises(asyncpg.CheckViolationError):
        await authority.execute(breach)


async def test_a_disposition_is_in_force_once_in_a_project(
    kept: DispositionStore, authority: Postgres
) -> None:
    for response in (RECORD_ONLY, replace(RECORD_ONLY, id="6")):
        proposal = await kept.propose(GINA, "not_reviewed", response)
        await kept.confirm(ADA, proposal.id, despite_looser=False)
    with pytest.raises(UniqueViolation):
        await authority.execute(
            "UPDATE authority.dispositions SET state = 'in_force', ended_at = NULL"
        )


async def test_workers_are_told_what_stands_and_what_is_proposed(
    running: Running, login: LoginHost
) -> None:
    path = "/internal/connections/p-1/dispositions"
    assert (await call(running, "GET", path)).status_code == 404
    await running.grant("anna", ANNA, login)
    await running.services.connections.create(order())
    place = (await running.services.connections.view("p-1")).procore_project_id  # type: ignore[union-attr]
    store = DispositionStore(running.database)
    gina, ada = (replace(one, procore_project_id=place) for one in (GINA, ADA))
    proposal = await store.propose(gina, "not_reviewed", RECORD_ONLY)
    await store.confirm(ada, proposal.id, despite_looser=False)
    await store.propose(ada, "rejected", APPROVED)
    answer = await call(running, "GET", path)
    assert answer.headers["cache-control"] == "no-store"
    told = read_map(answer)
    assert (told.project_id, told.procore_project_id) == ("p-1", place)
    assert [unconfirmed(one) for one in told.proposals] == [
        (),
        ("general_contractor", "prime_consultant"),
    ]
    await running.services.connections.disconnect("p-1", "anna")
    assert (await call(running, "GET", path)).status_code == 404


def read_map(answer: httpx2.Response) -> DispositionMap:
    assert answer.status_code == 200
    return msgspec.json.decode(answer.content, type=DispositionMap)


async def test_the_workers_hear_when_what_is_agreed_on_is_another_one(authority: Postgres) -> None:
    await authority.execute(CONNECT)
    store = DispositionStore(authority)

    async def heard() -> int:
        sql = "SELECT changed_seq FROM authority.connections WHERE project_id = 'p-1'"
        return int(await authority.fetchval(sql))

    at_first = await heard()
    proposal = await store.propose(GINA, "not_reviewed", RECORD_ONLY)
    assert await heard() == at_first  # a word of one party changes nothing yet
    await store.confirm(ADA, proposal.id, despite_looser=False)
    agreed = await heard()
    assert agreed > at_first
    await store.confirm(ADA, proposal.id, despite_looser=False)
    assert await heard() == agreed
    await store.withdraw(GINA, proposal.id)
    assert await heard() > agreed
