"""What managers do to a workflow in the pages: behaviours 38 and 46, by the domain itself."""

import pytest

from sandbox.procore.domain import directory, responses, submittals
from sandbox.procore.domain.people import Actor
from sandbox.procore.domain.responses import Answer
from sandbox.procore.domain.submittal_fields import RowFields, SubmittalFields
from sandbox.procore.domain.submittal_model import Submittal
from sandbox.procore.errors import Forbidden, NotFound, Unprocessable
from tests.sandbox.procore.site import ARCHITECT, ENGINEER, MANAGER, TRADE, Site
from tests.sandbox.procore.test_procore_submittals import reject_workflow


def actor(site: Site, email: str) -> Actor:
    return Actor(user_id=site.person(email).id)


def ids(site: Site, *emails: str) -> tuple[int, ...]:
    return tuple(site.person(email).id for email in emails)


def submitted(site: Site, *steps: tuple[str, ...]) -> Submittal:
    fields = SubmittalFields(
        number="1",
        title="Anchors",
        manager_id=site.person(MANAGER).id,
        steps=tuple(tuple(RowFields(user_id=u) for u in ids(site, *step)) for step in steps),
    )
    return submittals.create(site.world, actor(site, MANAGER), site.project.id, fields)


def answered(site: Site, submittal: Submittal, email: str, considered: str) -> Submittal:
    response = next(r.id for r in site.project.responses if r.considered == considered)
    row = next(r for r in submittal.rows if r.user_id == site.person(email).id)
    changed, _ = responses.respond(
        site.world,
        actor(site, email),
        site.project.id,
        submittal.id,
        row.id,
        Answer(response_id=response),
    )
    return changed


async def test_b38_resuming_continues_a_step_that_still_owes_answers(site: Site) -> None:
    reject_workflow(site, on=True)
    submittal = submitted(site, (ARCHITECT, ENGINEER), (TRADE,))
    stopped = answered(site, submittal, ARCHITECT, "rejected")
    assert stopped.ball_ids == ids(site, MANAGER)
    place = (site.world, actor(site, MANAGER), site.project.id, submittal.id)
    assert responses.resume(*place).ball_ids == ids(site, ENGINEER)


async def test_b38_resuming_a_step_that_owes_nothing_starts_the_next(site: Site) -> None:
    reject_workflow(site, on=True)
    submittal = submitted(site, (ARCHITECT,), (ENGINEER,))
    answered(site, submittal, ARCHITECT, "revise and resubmit")
    place = (site.world, actor(site, MANAGER), site.project.id, submittal.id)
    assert responses.resume(*place).ball_ids == ids(site, ENGINEER)
    with pytest.raises(Unprocessable):
        responses.resume(*place)


async def test_b38_sending_back_asks_an_earlier_step_again(site: Site) -> None:
    reject_workflow(site, on=True)
    submittal = submitted(site, (TRADE,), (ARCHITECT,))
    moved = answered(site, submittal, TRADE, "approved")
    answered(site, moved, ARCHITECT, "rejected")
    by_manager = (site.world, actor(site, MANAGER), site.project.id, submittal.id)
    with pytest.raises(Forbidden):
        responses.send_back(site.world, actor(site, ARCHITECT), *by_manager[2:], 1)
    back = responses.send_back(*by_manager, 1)
    assert back.ball_ids == ids(site, TRADE)
    assert not any(row.answered for row in back.rows)


async def test_b46_an_approver_adds_a_reviewer_and_the_step_waits_for_both(site: Site) -> None:
    submittal = submitted(site, (ARCHITECT,), (TRADE,))
    place = (site.project.id, submittal.id)
    with pytest.raises(Forbidden):
        responses.add_reviewer(
            site.world, actor(site, TRADE), *place, step=1, user_id=ids(site, ENGINEER)[0]
        )
    grown, row = responses.add_reviewer(
        site.world, actor(site, ARCHITECT), *place, step=1, user_id=ids(site, ENGINEER)[0]
    )
    assert set(grown.ball_ids) == set(ids(site, ARCHITECT, ENGINEER))
    assert row.added_by_id == site.person(ARCHITECT).id
    half = answered(site, grown, ARCHITECT, "approved")
    assert half.ball_ids == ids(site, ENGINEER)
    assert answered(site, half, ENGINEER, "approved").ball_ids == ids(site, TRADE)


async def test_b46_a_pending_user_is_replaced_and_one_who_answered_is_not(site: Site) -> None:
    submittal = submitted(site, (ARCHITECT,), (TRADE,))
    place = (site.world, actor(site, MANAGER), site.project.id, submittal.id)
    row_id = submittal.rows[0].id
    changed = responses.replace_approver(*place, row_id, user_id=ids(site, ENGINEER)[0])
    assert changed.ball_ids == ids(site, ENGINEER)
    assert changed.rows[0].id == row_id
    answered(site, changed, ENGINEER, "approved")
    with pytest.raises(Unprocessable):
        responses.replace_approver(*place, row_id, user_id=ids(site, ARCHITECT)[0])
    with pytest.raises(Unprocessable):
        responses.remove_approver(*place, row_id)


async def test_b46_removing_a_pending_row_lets_the_others_go_on(site: Site) -> None:
    submittal = submitted(site, (ARCHITECT, ENGINEER), (TRADE,))
    place = (site.world, actor(site, MANAGER), site.project.id, submittal.id)
    half = answered(site, submittal, ARCHITECT, "approved")
    pending = next(r for r in half.rows if r.user_id == site.person(ENGINEER).id)
    assert responses.remove_approver(*place, pending.id).ball_ids == ids(site, TRADE)


async def test_a_page_and_the_api_raise_the_same_events(site: Site) -> None:
    submittal = submitted(site, (ARCHITECT,))
    submittals.close(site.world, actor(site, MANAGER), site.project.id, submittal.id)
    rows = site.world.store.rows("SELECT reason, user_id, app FROM events ORDER BY id")
    assert [r["reason"] for r in rows] == ["create", "update", "update"]
    assert {(r["user_id"], r["app"]) for r in rows} == {(site.person(MANAGER).id, None)}


async def test_a_refused_operation_changes_nothing(site: Site) -> None:
    submittal = submitted(site, (ARCHITECT,))
    before = len(site.world.store.rows("SELECT id FROM events"))
    with pytest.raises(Forbidden):
        submittals.close(site.world, actor(site, ARCHITECT), site.project.id, submittal.id)
    directory.remove_member(
        site.world, project_id=site.project.id, user_id=site.person(ARCHITECT).id
    )
    with pytest.raises(NotFound):
        submittals.show(site.world, actor(site, ARCHITECT), site.project.id, submittal.id)
    assert len(site.world.store.rows("SELECT id FROM events")) == before
