"""Each rule of the field about whether a return may go, by example and for all values."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from schemas.returns import Return
from services.procore.models import Rfi, Submittal
from sync_worker.outbound.check import DeliverReply, DeliverResponse, Verdict, check_return
from sync_worker.outbound.holds import Hold
from tests.outbound.samples import (
    ALL_CODES,
    AMY_REF,
    APPROVED,
    AS_NOTED,
    FORWARDED,
    GC,
    NOON,
    TOM_REF,
    answer_to,
    approver,
    file_of,
    reply,
    rfi,
    seen_of,
    submittal,
)


def check(answer: Return, record: Rfi | Submittal, **changes: Any) -> Verdict:
    facts: dict[str, Any] = {
        "me": AMY_REF.id,
        "seen": seen_of(record),
        "codes": ALL_CODES,
        "ours": frozenset(),
    }
    return check_return(answer, record, **(facts | changes))


def reason_of(verdict: Verdict) -> str | None:
    return verdict.reason if isinstance(verdict, Hold) else None


def test_an_assignee_may_reply() -> None:
    assert check(answer_to(rfi()), rfi()) == DeliverReply("54321")


def test_an_approver_with_the_ball_may_respond_in_their_own_row() -> None:
    verdict = check(answer_to(submittal()), submittal())
    assert verdict == DeliverResponse("777", "301", AS_NOTED)


RFI_HOLDS = {
    "closed": (rfi(status="closed"), "record_closed", GC.id),
    "superseded": (rfi(status="closed_with_revision"), "record_closed", GC.id),
    "closed draft": (rfi(status="closed_draft"), "record_closed", GC.id),
    "in the recycle bin": (rfi(deleted=True), "record_removed", GC.id),
    "draft": (rfi(status="draft"), "not_your_turn", GC.id),
    "reassigned": (rfi(assignees=(), ball_in_court=(TOM_REF,)), "not_your_turn", GC.id),
}


@pytest.mark.parametrize(("record", "reason", "mender"), RFI_HOLDS.values(), ids=RFI_HOLDS)
def test_an_rfi_that_takes_no_reply_holds_it(record: Rfi, reason: str, mender: str) -> None:
    verdict = check(answer_to(record), record)
    assert isinstance(verdict, Hold)
    assert verdict.mended_by is not None
    assert (verdict.reason, verdict.mended_by.procore_id) == (reason, mender)


@pytest.mark.parametrize("place", ["distribution", "ball_in_court"])
def test_other_parties_of_an_rfi_may_reply_too(place: str) -> None:
    record = rfi(assignees=(), **{"ball_in_court": (TOM_REF,), place: (AMY_REF,)})
    assert check(answer_to(record), record) == DeliverReply(record.id)


ANSWERED = approver("301", AMY_REF, 2, response=APPROVED, returned_at=NOON)
WITH_TOM = (approver("301", AMY_REF, 2), approver("302", TOM_REF, 2))
SUBMITTAL_HOLDS = {
    "closed": (submittal(status_class="Closed", status_name="R&R"), "record_closed"),
    "in the recycle bin": (submittal(deleted=True), "record_removed"),
    "draft": (submittal(status_class="Draft"), "not_your_turn"),
    "replaced by a revision": (submittal(current_revision=False), "revision_superseded"),
    "no approver": (submittal(approvers=(approver("302", TOM_REF, 2),)), "not_your_turn"),
    "ball elsewhere": (submittal(ball_in_court=(TOM_REF,)), "not_your_turn"),
    "earlier step open": (
        submittal(approvers=(approver("302", TOM_REF, 1), approver("301", AMY_REF, 2))),
        "not_your_turn",
    ),
    "a submitter's row": (
        submittal(approvers=(approver("301", AMY_REF, 1, type="submitter"),)),
        "not_your_turn",
    ),
}


@pytest.mark.parametrize(("record", "reason"), SUBMITTAL_HOLDS.values(), ids=SUBMITTAL_HOLDS)
def test_a_submittal_that_takes_no_response_holds_it(record: Submittal, reason: str) -> None:
    verdict = check(answer_to(record), record)
    assert isinstance(verdict, Hold)
    assert verdict.reason == reason
    assert verdict.mended_by is not None


def test_parallel_approvers_do_not_wait_for_each_other() -> None:
    record = submittal(approvers=WITH_TOM, ball_in_court=(TOM_REF, AMY_REF))
    assert isinstance(check(answer_to(record), record), DeliverResponse)


def test_an_optional_earlier_approver_holds_nobody_up() -> None:
    optional = approver("302", TOM_REF, 1, required=False)
    record = submittal(approvers=(optional, approver("301", AMY_REF, 2)))
    assert isinstance(check(answer_to(record), record), DeliverResponse)


def test_without_a_ball_the_steps_say_whose_turn_it_is() -> None:
    record = submittal(ball_in_court=())
    assert isinstance(check(answer_to(record), record), DeliverResponse)


def test_a_response_given_in_procore_is_never_overwritten_even_when_confirmed() -> None:
    before = submittal()
    record = submittal(approvers=(ANSWERED, approver("302", TOM_REF, 3)), ball_in_court=(TOM_REF,))
    answer = answer_to(record, confirmed_despite=("already_answered", "question_changed"))
    assert reason_of(check(answer, record, seen=seen_of(before))) == "already_answered"


def test_a_return_for_a_step_answered_since_does_not_slip_into_a_later_step() -> None:
    before = submittal(approvers=(approver("301", AMY_REF, 2), approver("305", AMY_REF, 4)))
    record = submittal(approvers=(ANSWERED, approver("305", AMY_REF, 4)))
    assert reason_of(check(answer_to(record), record, seen=seen_of(before))) == "already_answered"


def test_a_second_step_of_the_same_person_is_answered_in_its_own_row() -> None:
    record = submittal(approvers=(ANSWERED, approver("305", AMY_REF, 4)))
    verdict = check(answer_to(record), record)
    assert verdict == DeliverResponse("777", "305", AS_NOTED)


def test_who_forwarded_for_review_still_owes_their_own_answer() -> None:
    forwarded = approver("301", AMY_REF, 2, response=FORWARDED)
    record = submittal(approvers=(forwarded,))
    assert isinstance(check(answer_to(record), record), DeliverResponse)


def test_a_reply_its_author_wrote_in_procore_meanwhile_is_asked_about() -> None:
    before, record = rfi(), rfi(answers=(reply("1", AMY_REF),))
    answer = answer_to(record)
    assert reason_of(check(answer, record, seen=seen_of(before))) == "already_answered"
    confirmed = replace(answer, confirmed_despite=("already_answered",))
    assert check(confirmed, record, seen=seen_of(before)) == DeliverReply(record.id)


@pytest.mark.parametrize(
    "thread",
    [
        (reply("1", TOM_REF),),
        (reply("1", AMY_REF, "<p>Part3 ref. P3-7KQ2M9XR4T</p>"),),
        (reply("7", AMY_REF),),
    ],
    ids=["another's", "marked as a return", "known as a return"],
)
def test_replies_that_are_not_the_authors_own_words_in_procore_hold_nothing(
    thread: tuple[Any, ...],
) -> None:
    record = rfi(answers=thread)
    verdict = check(answer_to(record), record, seen=seen_of(rfi()), ours=frozenset({"7"}))
    assert verdict == DeliverReply(record.id)


def test_a_reply_that_stood_there_when_the_author_answered_begins_another_round() -> None:
    record = rfi(answers=(reply("1", AMY_REF),))
    assert check(answer_to(record), record, seen=seen_of(record)) == DeliverReply(record.id)


CHANGED = {
    "question": rfi(question_html="<p>Which pocket depth applies at C5?</p>"),
    "files": rfi(question_attachments=()),
    "revision": rfi(revision="1"),
    "description": submittal(description="Mix, cure and test"),
    "submittal files": submittal(attachments=()),
    "submittal revision": submittal(revision="1"),
}


@pytest.mark.parametrize("record", CHANGED.values(), ids=CHANGED)
def test_what_changed_after_it_was_read_is_shown_first(record: Rfi | Submittal) -> None:
    before = rfi() if isinstance(record, Rfi) else submittal()
    answer = answer_to(record)
    verdict = check(answer, record, seen=seen_of(before))
    assert isinstance(verdict, Hold)
    assert verdict.reason == "question_changed"
    assert verdict.mended_by is not None
    assert verdict.mended_by.name == "Amy Chen"
    confirmed = replace(answer, confirmed_despite=("question_changed",))
    assert not isinstance(check(confirmed, record, seen=seen_of(before)), Hold)


def test_the_hold_names_what_changed() -> None:
    record = rfi(question_html="<p>Other</p>", question_attachments=())
    verdict = check(answer_to(record), record, seen=seen_of(rfi()))
    assert isinstance(verdict, Hold)
    assert verdict.message.startswith("The files and the question of RFI A-014 changed")


def test_a_version_nobody_knows_is_confirmed_first() -> None:
    assert reason_of(check(answer_to(rfi()), rfi(), seen=None)) == "question_changed"


@pytest.mark.parametrize(
    "record",
    [
        rfi(due_on=NOON.date(), ball_in_court=(TOM_REF,), subject="Renamed"),
        rfi(question_html="<div>Which  pocket depth\n<b>applies</b>?</div>"),
        submittal(due_on=NOON.date(), title="Renamed"),
    ],
    ids=["dates and ball", "markup and white space", "submittal's dates"],
)
def test_changes_that_do_not_touch_the_answer_do_not_hold_it(record: Rfi | Submittal) -> None:
    before = rfi() if isinstance(record, Rfi) else submittal()
    assert not isinstance(check(answer_to(record), record, seen=seen_of(before)), Hold)


@pytest.mark.parametrize("disposition", ["not_reviewed", "pending", "forwarded", "void", None])
def test_a_disposition_without_a_sure_response_is_never_guessed(disposition: Any) -> None:
    answer = answer_to(submittal(), disposition=disposition)
    assert reason_of(check(answer, submittal())) == "code_unmapped"


def test_an_empty_file_does_not_go() -> None:
    answer = answer_to(rfi(), cover_page=file_of(b"", "cover.pdf"))
    assert reason_of(check(answer, rfi())) == "file_rejected"


def test_a_reply_needs_words_or_files() -> None:
    assert reason_of(check(answer_to(rfi(), text="  "), rfi())) == "empty_answer"
    with_file = answer_to(rfi(), text=None, files=(file_of(b"x", "a.pdf"),))
    assert check(with_file, rfi()) == DeliverReply("54321")


CODES = st.sampled_from(
    ["question_changed", "already_answered", "record_closed", "not_your_turn", "code_unmapped"]
)


@given(st.sets(CODES), st.sampled_from(["closed", "closed_draft", "closed_with_revision"]))
def test_a_closed_rfi_takes_a_return_only_as_a_wanted_comment(codes: set[str], status: str) -> None:
    record = rfi(status=status)
    answer = answer_to(record, confirmed_despite=tuple(codes))
    comment = status == "closed" and "record_closed" in codes
    assert reason_of(check(answer, record)) == (None if comment else "record_closed")


@given(st.sets(CODES), st.text(min_size=1))
def test_a_closed_submittal_takes_no_return(codes: set[str], label: str) -> None:
    record = submittal(status_class="Closed", status_name=label)
    answer = answer_to(record, confirmed_despite=tuple(codes))
    assert reason_of(check(answer, record)) == "record_closed"


@given(
    st.sets(CODES),
    st.sampled_from([*RFI_HOLDS, *SUBMITTAL_HOLDS]),
)
def test_confirming_overrules_nothing_but_what_the_author_can_overrule(
    codes: set[str], case: str
) -> None:
    record, reason = (RFI_HOLDS.get(case) or SUBMITTAL_HOLDS[case])[:2]
    if case == "closed" and isinstance(record, Rfi):
        codes = codes - {"record_closed"}  # it then goes as a comment
    answer = answer_to(record, confirmed_despite=tuple(codes))
    assert reason_of(check(answer, record)) == reason


@given(st.sets(CODES.filter(lambda code: code != "question_changed")))
def test_a_changed_question_is_overruled_by_its_own_code_only(codes: set[str]) -> None:
    record = rfi(question_html="<p>Other</p>")
    answer = answer_to(record, confirmed_despite=tuple(codes))
    assert reason_of(check(answer, record, seen=seen_of(rfi()))) == "question_changed"


@given(st.sampled_from([AMY_REF.id, TOM_REF.id, GC.id, "424242"]), st.permutations(WITH_TOM))
def test_a_response_goes_only_into_a_row_of_its_author(me: str, rows: list[Any]) -> None:
    record = submittal(approvers=tuple(rows), ball_in_court=(AMY_REF, TOM_REF))
    verdict = check(answer_to(record), record, me=me)
    if isinstance(verdict, DeliverResponse):
        row = next(row for row in rows if row.id == verdict.approver_id)
        assert row.user.id == me
    else:
        assert me not in (AMY_REF.id, TOM_REF.id)
