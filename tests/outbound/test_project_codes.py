"""A project's own dispositions on the way to Procore: what goes, what waits, and for whom."""

from typing import Any

import pytest
from msgspec.structs import replace

from schemas.dispositions import Confirmation, DispositionMap, Proposal, SeenResponse
from schemas.records import Disposition
from schemas.returns import Member
from services.errors import TryLater
from services.procore.models import ResponseOption
from sync_worker.outbound.codes import CodeMap
from tests.outbound.bench import LIMITS, Bench
from tests.outbound.fakes import PLACE, FakeGrants
from tests.outbound.samples import (
    AMY,
    AS_NOTED,
    GC,
    NOON,
    OPTIONS,
    PROJECT,
    TOM,
    answer_to,
    submittal,
)

GINA = Member(
    user_id="u-gina",
    name="Gina Castellano",
    email="gina@gc.example",
    company="Harbour Build",
    role="general_contractor",
)
NO_ACTION = ResponseOption(id="9", name="No Action Taken", considered="for record only")
BY_GINA = Confirmation(user_id=GINA.user_id, name=GINA.name, at=NOON)
BY_AMY = Confirmation(user_id=AMY.user_id, name=AMY.name, at=NOON)


def proposal(
    disposition: Disposition = "not_reviewed", about: ResponseOption = NO_ACTION, **changes: Any
) -> Proposal:
    """Something both parties confirmed."""
    plain = Proposal(
        id="1",
        disposition=disposition,
        response=SeenResponse(id=about.id, name=about.name, considered=about.considered),
        proposed_by=GINA.name,
        proposed_at=NOON,
        general_contractor=BY_GINA,
        prime_consultant=BY_AMY,
    )
    return replace(plain, **changes)


def agreed(*proposals: Proposal, procore_project_id: str = PLACE.project_id) -> DispositionMap:
    return DispositionMap(
        project_id=PROJECT, procore_project_id=procore_project_id, proposals=proposals
    )


def bench_for(disposition: Disposition = "not_reviewed", **changes: Any) -> Bench:
    answer = answer_to(submittal(), disposition=disposition, stamp=None, **changes)
    bench = Bench(submittal(), answer)
    bench.procore.options = (*OPTIONS, NO_ACTION)
    bench.part3.team = (TOM, AMY, GINA)
    return bench


def mended_by(bench: Bench) -> str | None:
    told = bench.last_told
    assert told.reason == "code_unmapped"
    return told.mended_by.name if told.mended_by else None


async def test_what_both_parties_confirmed_goes() -> None:
    bench = bench_for()
    bench.grants.agreed = agreed(proposal())
    await bench.attempt()
    assert bench.task.state == "delivered"
    assert bench.last_told.receipt is not None
    assert bench.last_told.receipt.response == "No Action Taken"


async def test_what_both_parties_confirmed_goes_before_what_agrees_by_itself() -> None:
    bench = bench_for("proceed_as_noted")
    own = ResponseOption(id="10", name="Note B", considered="approved as noted")
    bench.procore.options = (*OPTIONS, own)
    bench.grants.agreed = agreed(proposal("proceed_as_noted", own))
    await bench.attempt()
    assert bench.last_told.receipt is not None
    assert bench.last_told.receipt.response == "Note B"


async def test_an_unmapped_code_names_the_page_and_the_general_contractor() -> None:
    bench = bench_for()
    await bench.attempt()
    assert mended_by(bench) == "Gina Castellano"
    message = bench.last_told.message or ""
    assert "No response of this project in Procore surely means “Not Reviewed”" in message
    assert "Gina Castellano can propose one" in message
    assert "Settings → Integrations → Dispositions" in message


@pytest.mark.parametrize(
    ("team", "mender"),
    [((TOM, AMY), AMY.name), ((TOM,), GC.name), ((), GC.name)],
    ids=["prime", "neither", "nobody"],
)
async def test_without_a_contractor_the_prime_is_asked_then_the_manager(
    team: tuple[Member, ...], mender: str
) -> None:
    bench = bench_for()
    bench.part3.team = team
    await bench.attempt()
    assert mended_by(bench) == mender


async def test_a_held_return_goes_by_itself_once_the_second_party_confirmed() -> None:
    bench = bench_for()
    bench.grants.agreed = agreed(proposal(prime_consultant=None))
    await bench.attempt()
    assert mended_by(bench) == AMY.name
    assert "“No Action Taken” is proposed" in (bench.last_told.message or "")
    assert bench.due_in_s == LIMITS.recheck_s
    bench.grants.agreed = agreed(proposal())
    await bench.until_due()
    assert bench.task.state == "delivered"


async def test_a_confirmation_is_seen_at_the_next_look_whatever_is_still_kept() -> None:
    bench = bench_for("proceed_as_noted")
    codes = await bench.codes.codes_for(bench.answer, PLACE, OPTIONS)
    assert codes.get("proceed_as_noted") == AS_NOTED
    waiting = replace(bench.answer, disposition="not_reviewed")
    bench.grants.agreed = agreed(proposal())
    options = (*OPTIONS, NO_ACTION)
    codes = await bench.codes.codes_for(waiting, PLACE, options)
    assert codes.get("not_reviewed") == NO_ACTION


async def test_what_maps_is_asked_once_in_a_while() -> None:
    bench = bench_for("proceed_as_noted")
    for _ in range(3):
        await bench.codes.codes_for(bench.answer, PLACE, OPTIONS)
    assert bench.grants.agreed_reads == 1
    bench.clock.forward(LIMITS.recheck_s)
    await bench.codes.codes_for(bench.answer, PLACE, OPTIONS)
    assert bench.grants.agreed_reads == 2


@pytest.mark.parametrize(
    ("options", "became"),
    [
        ((replace(NO_ACTION, name="Closed out"),), "renamed to “Closed out”"),
        ((replace(NO_ACTION, considered="approved"),), "moved to the class “approved”"),
        ((), "deleted"),
    ],
    ids=["renamed", "moved", "deleted"],
)
async def test_a_changed_response_holds_only_the_returns_that_need_it(
    options: tuple[ResponseOption, ...], became: str
) -> None:
    held, other = bench_for(), bench_for("proceed_as_noted")
    for bench in (held, other):
        bench.grants.agreed = agreed(proposal())
        bench.procore.options = (*OPTIONS, *options)
        await bench.attempt()
    assert other.task.state == "delivered"
    assert mended_by(held) == GINA.name
    assert f"has been {became} in Procore" in (held.last_told.message or "")
    held.procore.options = (*OPTIONS, NO_ACTION)
    await held.until_due()
    assert held.task.state == "delivered"


async def test_a_suspended_row_never_falls_back_on_what_agrees_by_itself() -> None:
    bench = bench_for("proceed_as_noted")
    own = ResponseOption(id="10", name="Note B", considered="approved as noted")
    bench.grants.agreed = agreed(proposal("proceed_as_noted", own))
    await bench.attempt()
    assert mended_by(bench) == GINA.name
    assert bench.procore.executed == 0


@pytest.mark.parametrize(("warned", "state"), [(False, "held"), (True, "delivered")])
async def test_a_looser_response_goes_only_if_both_confirmed_it_warned(
    *, warned: bool, state: str
) -> None:
    bench = bench_for("rejected")
    by_amy = replace(BY_AMY, despite_looser=warned)
    looser = proposal(
        "rejected",
        AS_NOTED,
        general_contractor=replace(BY_GINA, despite_looser=True),
        prime_consultant=by_amy,
    )
    bench.grants.agreed = agreed(looser)
    bench.procore.options = tuple(one for one in OPTIONS if one.id != "5")
    await bench.attempt()
    assert bench.task.state == state


async def test_several_that_fit_are_named() -> None:
    bench = bench_for("proceed")
    second = ResponseOption(id="10", name="No Exceptions Taken", considered="approved")
    bench.procore.options = (*OPTIONS, second)
    await bench.attempt()
    assert "(“Approved”, “No Exceptions Taken”)" in (bench.last_told.message or "")


async def test_a_return_without_a_disposition_is_its_authors_to_mend() -> None:
    bench = bench_for()
    bench.part3.returns["ret_1"] = replace(bench.answer, disposition=None)
    await bench.attempt()
    assert mended_by(bench) == AMY.name


async def test_nothing_goes_while_nobody_can_say_what_was_agreed_on() -> None:
    class Away(FakeGrants):
        async def dispositions(self, project_id: str) -> DispositionMap | None:
            raise TryLater("away", reason="token_service_down")

    bench = bench_for("proceed_as_noted")
    bench.authority = Away()
    await bench.attempt()
    assert (bench.task.state, bench.task.reason) == ("waiting", "token_service_down")
    assert bench.procore.executed == 0


async def test_ids_of_another_procore_project_mean_nothing() -> None:
    bench = bench_for()
    bench.grants.agreed = agreed(proposal(), procore_project_id="elsewhere")
    await bench.attempt()
    assert (bench.task.state, bench.task.reason) == ("waiting", "not_connected")


async def test_what_was_adopted_without_its_memory_is_proven_by_the_map() -> None:
    bench = bench_for()
    bench.grants.agreed = agreed(proposal())
    await bench.attempt()
    assert bench.task.state == "delivered"
    assert bench.last_told.receipt is not None
    again = Bench(bench.procore.record, bench.answer)
    again.procore.options = bench.procore.options
    again.grants.agreed = bench.grants.agreed
    await again.attempt()
    assert (again.task.state, again.procore.executed) == ("delivered", 0)
    assert again.last_told.receipt is not None
    assert again.last_told.receipt.response == "No Action Taken"


def test_rfis_have_no_codes() -> None:
    assert CodeMap().get(None) is None
    assert CodeMap().get("proceed") is None
