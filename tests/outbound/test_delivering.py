"""A return on its way: what goes right, what goes wrong, and what is left afterwards."""

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from schemas.connections import ProjectOptions
from schemas.records import Person
from services.errors import OutcomeUnknown, TryLater
from services.procore.errors import AppNotInstalled, Refused
from services.procore.files import FileNotWhole
from services.procore.models import ResponseOption, Rfi, Submittal
from sync_worker.outbound.memory import Tie
from tests.outbound.bench import BENCHES, Bench, raising_once, rfi_bench, submittal_bench
from tests.outbound.fakes import PLACE
from tests.outbound.samples import (
    AMY,
    AMY_REF,
    APPROVED,
    AS_NOTED,
    GC,
    PROCORE_IDS,
    answer_to,
    approver,
    file_of,
    rfi,
    submittal,
)


async def test_a_reply_arrives_with_its_files_and_is_proven() -> None:
    bench = rfi_bench()
    await bench.attempt()
    assert bench.told == ["sending", "delivered"]
    assert bench.due_in_s is None
    receipt = bench.last_told.receipt
    assert receipt is not None
    assert receipt.author.procore_id == AMY_REF.id
    assert [file.name for file in receipt.files] == ["sketch.pdf", "Cover page.pdf"]
    assert isinstance(bench.procore.record, Rfi)
    (posted,) = bench.procore.record.answers or ()
    assert receipt.procore_id == posted.id
    assert posted.html.startswith("<p>Use 150 mm.</p><p>See the sketch.</p><p>Part3 ref. P3-")
    assert bench.intents.remote_ids == {"ret_1": posted.id}
    assert [change.event for change in bench.store.changes] == ["return.delivered"]


async def test_a_response_arrives_with_its_code_comment_and_cover_page() -> None:
    bench = submittal_bench()
    await bench.attempt()
    assert bench.told == ["sending", "delivered"]
    receipt = bench.last_told.receipt
    assert receipt is not None
    assert (receipt.procore_id, receipt.response) == ("301", "Approved as Noted")
    *_, approver_id, response_id, comment, _upload = bench.procore.received
    assert (approver_id, response_id) == ("301", AS_NOTED.id)
    assert comment.startswith("Use 150 mm.\n\nSee the sketch.\n\nPart3 ref. P3-")


@BENCHES
async def test_every_call_is_made_under_the_authors_own_grant(make: Callable[[], Bench]) -> None:
    bench = make()
    await bench.attempt()
    assert {whose for _, whose in bench.procore.calls} == {AMY.user_id}


@BENCHES
@pytest.mark.parametrize("refusal", ["not_authorized", "needs_reauthorization"])
async def test_without_a_grant_it_waits_for_its_author_and_then_goes_by_itself(
    make: Callable[[], Bench], refusal: str
) -> None:
    bench = make()
    bench.grants.ids, bench.grants.refusal = {}, refusal
    await bench.attempt()
    assert (bench.last_told.state, bench.last_told.reason) == ("held", "not_authorized")
    assert bench.last_told.mended_by == Person(name=AMY.name, email=AMY.email, company=AMY.company)
    assert "Account Settings → Integrations → Authorize" in (bench.last_told.message or "")
    assert bench.procore.calls == []
    await bench.until_due()
    await bench.until_due()
    assert bench.told == ["held"], "the same again is not worth telling"
    bench.grants.ids = dict(PROCORE_IDS)
    await bench.until_due()
    assert bench.told == ["held", "sending", "delivered"]


async def test_a_held_return_goes_once_it_is_confirmed() -> None:
    bench = rfi_bench()
    bench.procore.record = rfi(question_html="<p>At C5?</p>")
    await bench.attempt()
    assert bench.last_told.reason == "question_changed"
    bench.part3.returns["ret_1"] = replace(bench.answer, confirmed_despite=("question_changed",))
    bench.ask()
    await bench.attempt()
    assert bench.told == ["held", "sending", "delivered"]


async def test_part3_hears_again_that_it_is_held_when_confirming_did_not_help() -> None:
    bench = rfi_bench()
    bench.procore.record = rfi(status="closed_with_revision")
    await bench.attempt()
    bench.part3.returns["ret_1"] = replace(bench.answer, confirmed_despite=("record_closed",))
    bench.ask()
    await bench.attempt()
    await bench.until_due()
    assert bench.told == ["held", "held"]


async def test_a_record_that_is_reopened_takes_the_held_return() -> None:
    bench = submittal_bench()
    bench.procore.record = submittal(status_class="Closed")
    await bench.attempt()
    assert bench.last_told.mended_by == Person(name=GC.name, procore_id=GC.id, email=GC.login)
    bench.procore.record = submittal()
    await bench.until_due()
    assert bench.task.state == "delivered"


@BENCHES
async def test_a_return_withdrawn_before_anything_was_sent_never_goes(
    make: Callable[[], Bench],
) -> None:
    bench = make()
    bench.grants.ids = {}
    await bench.attempt()
    bench.part3.returns["ret_1"] = replace(bench.answer, state="withdrawn")
    bench.grants.ids = dict(PROCORE_IDS)
    await bench.until_due()
    assert (bench.last_told.state, bench.last_told.reason) == ("failed", "withdrawn")
    assert bench.procore.effects(AMY_REF) == 0
    assert bench.due_in_s is None


async def test_a_return_withdrawn_too_late_is_delivered_and_said_so() -> None:
    bench = rfi_bench()
    bench.procore.fault = raising_once("write.answer", OutcomeUnknown("cut"))
    await bench.attempt()
    bench.part3.returns["ret_1"] = replace(bench.answer, state="withdrawn")
    await bench.until_due()
    assert bench.told[-1] == "delivered"
    assert bench.procore.effects(AMY_REF) == 1


async def test_hidden_from_its_author_and_removed_for_all_are_told_apart() -> None:
    bench = rfi_bench()
    bench.procore.blind = {AMY.user_id}
    await bench.attempt()
    assert bench.last_told.reason == "not_permitted"
    assert bench.last_told.mended_by == Person(name=GC.name, procore_id=GC.id, email=GC.login)
    bench.procore.blind |= {"u-owner"}
    await bench.until_due()
    assert bench.last_told.reason == "record_removed"
    bench.procore.blind = set()
    bench.procore.forbidden = {AMY.user_id}
    await bench.until_due()
    assert bench.last_told.reason == "not_permitted"


async def test_a_refusal_shows_procores_own_words() -> None:
    bench = rfi_bench(files=(), cover_page=None)
    bench.procore.refusal = Refused("base: Replies can only be added to an open RFI.")
    await bench.attempt()
    assert bench.last_told.reason == "refused_by_procore"
    assert "only be added to an open RFI" in (bench.last_told.message or "")
    bench.procore.refusal = None
    await bench.until_due()
    assert bench.task.state == "delivered"


@pytest.mark.parametrize("fault", ["missing", "other bytes", "refused"])
async def test_a_return_goes_whole_or_not_at_all(fault: str) -> None:
    bench = rfi_bench()
    sha256 = bench.answer.files[0].sha256
    if fault == "missing":
        del bench.part3.files[sha256]
    elif fault == "other bytes":
        bench.part3.files[sha256] = b"<html>an error page</html>"
    else:
        bench.procore.refusal = Refused("file type not allowed")
    await bench.attempt()
    assert (bench.last_told.state, bench.last_told.reason) == ("held", "file_rejected")
    assert "sketch.pdf" in (bench.last_told.message or "")
    assert bench.procore.effects(AMY_REF) == 0


async def test_files_that_were_uploaded_are_not_uploaded_again() -> None:
    bench = rfi_bench()
    left = [TryLater("away", reason="procore_down")]

    def second_upload_fails(step: str) -> None:
        if step == "upload" and bench.procore.uploads and left:
            raise left.pop()

    bench.procore.fault = second_upload_fails
    await bench.attempt()
    assert bench.last_told.reason == "procore_down"
    await bench.until_due()
    assert bench.task.state == "delivered"
    assert len(bench.procore.uploads) == 2


async def test_two_files_of_one_name_are_both_kept() -> None:
    files = (file_of(b"one", "detail.pdf"), file_of(b"two", "detail.pdf"))
    bench = rfi_bench(files=files, cover_page=None)
    bench.part3.store(b"one")
    bench.part3.store(b"two")
    await bench.attempt()
    assert bench.last_told.receipt is not None
    assert {f.sha256 for f in bench.last_told.receipt.files} == {f.sha256 for f in files}


async def test_while_part3_takes_no_report_a_delivered_return_is_told_again_and_again() -> None:
    bench = rfi_bench()
    bench.part3.takes_reports = False
    await bench.attempt()
    assert bench.task.state == "delivered"
    calls = len(bench.procore.calls)
    await bench.until_due()
    await bench.until_due()
    assert bench.told == []
    bench.part3.takes_reports = True
    await bench.until_due()
    assert bench.told == ["delivered"]
    assert bench.last_told.receipt is not None
    assert (len(bench.procore.calls), bench.due_in_s) == (calls, None)


async def test_while_part3_is_away_nothing_is_sent() -> None:
    bench = rfi_bench()
    bench.part3.down = True
    for _ in range(20):
        await bench.until_due()
    assert (bench.task.state, bench.task.reason) == ("waiting", "part3_down")
    assert bench.due_in_s is not None
    assert 450 <= bench.due_in_s <= 900
    bench.part3.down = False
    await bench.until_due()
    assert bench.task.state == "delivered"


@pytest.mark.parametrize("state", ["paused", "disconnected"])
async def test_a_project_that_is_not_connected_sends_nothing(state: str) -> None:
    bench = rfi_bench()
    bench.memory.connection = Tie(state=state, place=PLACE, reader_user_id="u-owner")
    await bench.attempt()
    assert (bench.last_told.state, bench.last_told.reason) == ("held", "not_connected")
    assert bench.procore.calls == []


async def test_the_app_not_being_installed_costs_no_call() -> None:
    bench = rfi_bench()
    bench.memory.connection = Tie(
        state="active",
        place=PLACE,
        reader_user_id="u-owner",
        attention_reason="app_not_installed",
        attention_message="Install the app.",
    )
    await bench.attempt()
    assert bench.last_told.reason == "app_not_installed"
    assert bench.procore.calls == []


async def test_a_fault_of_ours_leaves_the_return_waiting_and_is_logged() -> None:
    bench = rfi_bench()
    bench.procore.fault = raising_once("read", ZeroDivisionError("ours"))
    await bench.attempt()
    assert bench.last_told.reason == "connector_fault"
    await bench.until_due()
    assert bench.task.state == "delivered"


async def test_a_return_part3_does_not_know_is_given_up_in_the_end() -> None:
    bench = rfi_bench()
    bench.part3.returns.clear()
    while bench.task.state != "failed":
        await bench.until_due()
    assert bench.task.reason == "unknown_return"
    assert bench.due_in_s is None


async def test_a_renamed_response_holds_only_the_returns_that_need_it() -> None:
    bench = submittal_bench()
    renamed = ResponseOption(id="3", name="OK w/ comments", considered="approved as noted")
    bench.procore.options = (APPROVED, renamed)
    await bench.attempt()
    assert bench.last_told.reason == "code_unmapped"
    bench.procore.options = (APPROVED, AS_NOTED)
    await bench.until_due()
    assert bench.task.state == "delivered"


async def test_parallel_approvers_each_answer_in_their_own_row() -> None:
    rows = (approver("301", AMY_REF, 2), approver("302", replace(AMY_REF, id="9002"), 2))
    record = submittal(approvers=rows, ball_in_court=tuple(row.user for row in rows))
    bench = Bench(record, answer_to(record))
    await bench.attempt()
    assert isinstance(bench.procore.record, Submittal)
    assert [row.returned_at is None for row in bench.procore.record.approvers] == [False, True]


async def test_part3_refusing_a_report_is_not_asked_again() -> None:
    bench = rfi_bench()
    bench.part3.refuses = True
    await bench.attempt()
    assert (bench.task.state, bench.due_in_s) == ("delivered", None)


async def test_a_file_that_cannot_be_read_back_is_named_to_the_author() -> None:
    bench = rfi_bench()

    def broken(step: str) -> None:
        if step == "download":
            raise FileNotWhole("sketch.pdf arrived as an HTML page")

    bench.procore.fault = broken
    await bench.attempt()
    while bench.task.state == "sending":
        await bench.until_due()
    assert bench.last_told.reason == "read_back_differs"
    assert "“sketch.pdf” is not there whole" in (bench.last_told.message or "")


async def test_a_company_without_the_app_is_asked_once_and_then_left_alone() -> None:
    bench = rfi_bench()
    bench.procore.fault = raising_once("read", AppNotInstalled())
    await bench.attempt()
    assert bench.last_told.reason == "app_not_installed"
    calls = len(bench.procore.calls)
    await bench.until_due()
    assert len(bench.procore.calls) == calls
    bench.memory.connection = Tie(state="active", place=PLACE, reader_user_id="u-owner")
    await bench.until_due()
    assert bench.task.state == "delivered"


@pytest.mark.parametrize("chosen", [False, True])
async def test_procore_mails_of_a_response_only_where_the_project_chose_so(chosen: bool) -> None:
    bench = submittal_bench()
    options = ProjectOptions(send_emails=chosen)
    bench.memory.connection = Tie(
        state="active", place=PLACE, reader_user_id="u-owner", options=options
    )
    assert (await bench.attempt()).state == "delivered"
    assert bench.procore.mailed == [chosen]


async def test_what_part3_may_have_heard_last_is_told_over_though_it_is_what_it_heard_before() -> (
    None
):
    """A report without an answer may have arrived: then Part3 shows that, not the one before."""
    bench = Bench(rfi(), answer_to(rfi()))
    bench.grants.ids = {}
    await bench.attempt()
    assert bench.told == ["held"]
    bench.part3.hears = False
    bench.grants.refusal = "token_service_down"
    await bench.until_due()
    assert bench.told == ["held", "held"]
    assert bench.last_told.reason == "token_service_down"
    bench.part3.hears = True
    bench.grants.refusal = "not_authorized"
    await bench.until_due()
    assert bench.last_told.reason == "not_authorized"
