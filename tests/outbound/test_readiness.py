"""Who could return a record now, and what is said when nobody could."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from schemas.records import Person
from schemas.returns import Member, Project, Readiness
from services.errors import TryLater
from services.postgres import Postgres, migrate, open_postgres
from services.procore.errors import NotAllowed
from services.procore.models import Assignee, Place, ResponseOption, Rfi, Submittal
from services.procore.permissions import Levels
from sync_worker.outbound.check import DeliverReply, DeliverResponse, check_return
from sync_worker.outbound.delivery_store import ask_record_deliveries
from sync_worker.outbound.put_notes import note_put
from sync_worker.outbound.readiness import Teammate, readiness_of
from sync_worker.outbound.readiness_loop import ReadinessLoop
from sync_worker.outbound.turns import turns_of
from sync_worker.projects import Projects
from tests.outbound.fakes import Clock, FakeGrants
from tests.outbound.samples import (
    ALL_CODES,
    AMY,
    AMY_REF,
    APPROVED,
    GC,
    NOON,
    OPTIONS,
    PROCORE_IDS,
    PROJECT,
    TOM,
    TOM_REF,
    answer_to,
    approver,
    rfi,
    seen_of,
    submittal,
)
from tests.worker.sides import FakeTokenService

GALE = Member(
    user_id="u-gale", name="Gale", email="g@gc.example", company="GC", role="general_contractor"
)
AMY_CAN = Teammate(member=AMY, procore_id=AMY_REF.id)
TOM_CAN = Teammate(member=TOM, procore_id=TOM_REF.id)
TOM_HAS_NOT = Teammate(member=TOM, procore_id=None)


def ready(record: Rfi | Submittal, *team: Teammate, removed: bool = False) -> Readiness:
    return readiness_of(turns_of(record), team, removed=removed, as_of=NOON)


def test_both_assignees_of_an_rfi_could_reply() -> None:
    readiness = ready(rfi(), AMY_CAN, TOM_CAN)
    assert readiness == Readiness(
        returnable=True, as_of=NOON, for_user_ids=(AMY.user_id, TOM.user_id)
    )


def test_who_is_asked_and_has_not_authorized_is_named_beside_those_who_could() -> None:
    readiness = ready(rfi(), AMY_CAN, TOM_HAS_NOT)
    assert (readiness.returnable, readiness.for_user_ids) == (True, (AMY.user_id,))
    assert readiness.reason == "not_authorized"
    assert readiness.mended_by == Person(name=TOM.name, email=TOM.email, company=TOM.company)


def test_waiting_for_somebody_to_authorize_is_said_when_the_record_arrives() -> None:
    record = rfi(assignees=(Assignee(user=TOM_REF, required=True),), ball_in_court=(TOM_REF,))
    readiness = ready(record, TOM_HAS_NOT)
    assert not readiness.returnable
    assert readiness.message == (
        "RFI A-014 cannot be returned yet. Tomás Rivera has not authorized Procore yet: "
        "Account Settings → Integrations → Authorize."
    )
    lapsed = ready(record, replace(TOM_HAS_NOT, lapsed=True))
    assert "has to authorize Procore again" in (lapsed.message or "")


def test_a_submittal_is_ready_for_whoever_has_the_ball() -> None:
    assert ready(submittal(), AMY_CAN, TOM_CAN).for_user_ids == (AMY.user_id,)


def test_an_answered_submittal_is_with_the_next_one() -> None:
    answered = approver("301", AMY_REF, 2, response=APPROVED, returned_at=NOON)
    record = submittal(approvers=(answered, approver("302", GC, 3)), ball_in_court=(GC,))
    readiness = ready(record, AMY_CAN, TOM_CAN)
    assert (readiness.returnable, readiness.reason) == (False, "not_your_turn")
    assert readiness.message == "Submittal 03 30 00-12 is with Gale Cooper in Procore."


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (rfi(status="closed"), "record_closed"),
        (submittal(status_class="Closed"), "record_closed"),
        (submittal(current_revision=False), "revision_superseded"),
    ],
)
def test_a_closed_record_is_ready_for_nobody(record: Rfi | Submittal, reason: str) -> None:
    readiness = ready(record, AMY_CAN, TOM_CAN)
    assert (readiness.returnable, readiness.reason) == (False, reason)


def test_a_removed_record_is_ready_for_nobody() -> None:
    assert ready(rfi(), AMY_CAN, removed=True).reason == "record_removed"


RECORDS = st.sampled_from(
    [
        rfi(),
        rfi(status="closed"),
        rfi(status="draft"),
        rfi(assignees=(), distribution=(TOM_REF,), ball_in_court=(GC,)),
        submittal(),
        submittal(ball_in_court=(TOM_REF,)),
        submittal(ball_in_court=()),
        submittal(status_class="Closed"),
        submittal(current_revision=False),
        submittal(approvers=(approver("1", AMY_REF, 2), approver("2", TOM_REF, 2))),
    ]
)


@given(RECORDS, st.sampled_from([AMY_CAN, TOM_CAN]))
def test_ready_is_who_would_pass_the_check(record: Rfi | Submittal, mate: Teammate) -> None:
    answer = answer_to(record, author=mate.member)
    verdict = check_return(
        answer, record, me=mate.procore_id or "", seen=seen_of(record), codes=ALL_CODES
    )
    passes = isinstance(verdict, DeliverReply | DeliverResponse)
    assert ready(record, mate).returnable == passes


CONNECT = """
INSERT INTO mirror.projects (project_id, procore_company_id, procore_project_id, owner_user_id,
    reader_user_id, state, connection_updated_at)
VALUES ($1, '10', '20', 'u-owner', 'u-owner', 'active', now())
"""
PUT = """
INSERT INTO mirror.records (project_id, kind, procore_id, status) VALUES ($1, $2, $3, $4)
ON CONFLICT (project_id, kind, procore_id) DO UPDATE SET status = excluded.status
"""


class Part3Team:
    def __init__(self) -> None:
        self.team = (AMY, TOM, GALE)
        self.told: list[Readiness] = []
        self.down = False

    async def project(self, project_id: str) -> Project:
        return Project(id=project_id, name="Tower", team=self.team)

    async def put_readiness(
        self, project_id: str, kind: str, procore_id: str, readiness: Readiness
    ) -> None:
        if self.down:
            raise TryLater("away", reason="part3_down")
        self.told.append(readiness)


@pytest_asyncio.fixture
async def postgres(database: str) -> AsyncIterator[Postgres]:
    await migrate(database, ["sync_worker"])
    async with open_postgres(database, max_size=2) as pool:
        await pool.execute(CONNECT, PROJECT)
        yield pool


async def put(postgres: Postgres, record: Rfi | Submittal, status: str = "open") -> None:
    kind = "rfi" if isinstance(record, Rfi) else "submittal"
    async with postgres.transaction() as queries:
        await queries.execute(PUT, PROJECT, kind, record.id, status)
        await note_put(queries, PROJECT, f"v-{record.updated_at}-{status}", record)


@pytest.mark.postgres
async def test_part3_hears_once_and_again_when_somebody_authorizes(postgres: Postgres) -> None:
    part3, grants = Part3Team(), FakeGrants({AMY.user_id: AMY_REF.id})
    loop = ReadinessLoop(postgres, part3, grants, recheck_s=60, clock=Clock())
    await put(postgres, rfi())
    await loop.once()
    await loop.once()
    assert [one.for_user_ids for one in part3.told] == [(AMY.user_id,)]
    grants.ids = dict(PROCORE_IDS)
    await postgres.execute("UPDATE mirror.projects SET readiness_due_at = now()")
    await loop.once()
    assert part3.told[-1].for_user_ids == (AMY.user_id, TOM.user_id)
    await put(postgres, rfi(status="closed"), "closed")
    await loop.once()
    assert part3.told[-1].reason == "record_closed"
    assert len(part3.told) == 3


@pytest.mark.postgres
async def test_what_was_never_open_is_not_told(postgres: Postgres) -> None:
    part3 = Part3Team()
    await put(postgres, rfi(status="closed"), "closed")
    await ReadinessLoop(postgres, part3, FakeGrants(), recheck_s=60).once()
    assert part3.told == []


@pytest.mark.postgres
async def test_a_removal_is_told_and_what_part3_did_not_take_is_told_later(
    postgres: Postgres,
) -> None:
    part3 = Part3Team()
    loop = ReadinessLoop(postgres, part3, FakeGrants(), recheck_s=0.01)
    part3.down = True
    await put(postgres, rfi())
    await postgres.execute("UPDATE mirror.projects SET readiness_due_at = now() + interval '1h'")
    await loop.once()
    assert part3.told == []
    part3.down = False
    await postgres.execute("UPDATE mirror.readiness SET due_at = now()")
    await loop.once()
    assert part3.told[-1].returnable
    async with postgres.transaction() as queries:
        await queries.execute(PUT, PROJECT, "rfi", rfi().id, "removed")
        await ask_record_deliveries(queries, PROJECT, "rfi", rfi().id)
    await loop.once()
    assert part3.told[-1].reason == "record_removed"


@pytest.mark.postgres
async def test_after_a_disconnect_open_records_cannot_be_returned_until_it_is_connected_again(
    postgres: Postgres,
) -> None:
    part3, connections = Part3Team(), FakeTokenService()
    projects = Projects(postgres, connections, part3, retry_max_s=600)
    loop = ReadinessLoop(postgres, part3, FakeGrants(dict(PROCORE_IDS)), recheck_s=60)
    await put(postgres, rfi())
    await put(postgres, submittal(status_class="Closed"), "closed")
    await loop.once()
    assert [one.returnable for one in part3.told] == [True]

    async def become(state: str) -> None:
        connections.connect(PROJECT, state=state)
        await projects.learn(PROJECT)
        await loop.once()
        await loop.once()

    await become("disconnected")
    assert len(part3.told) == 2
    told = part3.told[-1]
    assert (told.returnable, told.for_user_ids, told.reason) == (False, (), "not_connected")
    assert told.message is not None
    assert "What came from there stays here" in told.message
    assert "connects it again in the project's Settings → Integrations" in told.message
    await become("active")
    assert part3.told[-1].returnable
    await become("paused")
    assert "paused" in (part3.told[-1].message or "")


class Manifests:
    """Procore's two answers that a project is checked by."""

    def __init__(self) -> None:
        self.levels_of = {AMY.user_id: Levels(rfi="Standard", submittal="Read Only")}
        self.options: tuple[ResponseOption, ...] = OPTIONS
        self.calls = 0

    async def levels(self, place: Place, *, whose: str) -> Levels:
        self.calls += 1
        if whose not in self.levels_of:
            raise NotAllowed(whose)
        return self.levels_of[whose]

    async def response_options(self, place: Place, *, whose: str) -> tuple[ResponseOption, ...]:
        self.calls += 1
        return self.options


@pytest.mark.postgres
async def test_a_project_is_checked_by_a_call_a_person_and_its_records_are_told(
    postgres: Postgres,
) -> None:
    part3, procore, grants = Part3Team(), Manifests(), FakeGrants()
    loop = ReadinessLoop(
        postgres, part3, grants, recheck_s=60, procore=procore, agreements=grants, clock=Clock()
    )
    await put(postgres, submittal())
    await loop.once()
    (told,) = part3.told
    assert (told.returnable, told.reason) == (False, "not_permitted")
    assert "Amy Chen has Read Only on the Submittals tool" in (told.message or "")
    assert procore.calls == 3
    await loop.once()
    assert procore.calls == 3
    # mended, and a response taken away: both are seen at the next check, the task is somebody's
    procore.levels_of[AMY.user_id] = Levels(rfi="Standard", submittal="Standard")
    procore.options = tuple(one for one in OPTIONS if one.name != "Rejected")
    await postgres.execute("UPDATE mirror.projects SET checks_due_at = now()")
    await loop.once()
    assert (part3.told[-1].returnable, part3.told[-1].reason) == (True, "code_unmapped")
    assert "“Rejected”" in (part3.told[-1].message or "")
    rows = await postgres.fetch("SELECT event, person FROM mirror.activity")
    assert [(row["event"], row["person"]["name"]) for row in rows] == [("codes.suspended", "Gale")]
