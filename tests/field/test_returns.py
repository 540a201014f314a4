"""Field notes 4.7, rules 2 to 9: what becomes of a return, one case a line.

Each line: what happened meanwhile in Procore, what the author confirmed, and what comes of it.
"""

from typing import Any

import pytest
from msgspec.structs import replace

from schemas.records import Disposition
from schemas.returns import Return
from services.procore.errors import Refused
from services.procore.models import Attachment, Rfi, Submittal
from sync_worker.outbound.check import DeliverReply, DeliverResponse, check_return
from sync_worker.outbound.compose import compose
from sync_worker.outbound.holds import Hold
from sync_worker.outbound.memory import corrects
from sync_worker.outbound.versions import SeenVersion
from tests.outbound.bench import Bench
from tests.outbound.samples import (
    ALL_CODES,
    AMY_REF,
    APPROVED,
    GC,
    NOON,
    PENDING,
    TOM,
    TOM_REF,
    answer_to,
    approver,
    reply,
    rfi,
    seen_of,
    submittal,
)

GOES = "goes"
QUESTION, SUBMITTED = rfi(), submittal()
DETAIL = Attachment(id="72", name="detail 5.pdf", url=None)
REWRITTEN = "<p>Which pocket depth applies at grid D4?</p>"
ROW = SUBMITTED.approvers[1]
BOTH = replace(
    SUBMITTED,
    approvers=(approver("301", AMY_REF, 2), approver("302", TOM_REF, 2)),
    ball_in_court=(AMY_REF, TOM_REF),
)
TOM_ANSWERED = replace(
    BOTH,
    approvers=(BOTH.approvers[0], approver("302", TOM_REF, 2, response=APPROVED, returned_at=NOON)),
    ball_in_court=(AMY_REF,),
)


def with_row(**changes: Any) -> Submittal:
    return replace(SUBMITTED, approvers=(SUBMITTED.approvers[0], replace(ROW, **changes)))


ADMIN_ANSWERED = with_row(response=APPROVED, returned_at=NOON)
CASES: dict[str, tuple[Rfi | Submittal, tuple[str, ...], str, str]] = {
    # rule 2 and 3: look before you write; a changed question is shown, confirmed, then it goes
    "RFI as it was read": (rfi(), (), GOES, ""),
    "only the due date and the manager changed": (
        rfi(due_on=NOON.date(), manager=TOM_REF),
        (),
        GOES,
        "",
    ),
    "question rewritten": (
        rfi(question_html=REWRITTEN),
        (),
        "question_changed",
        "It read “Which pocket depth applies?” and reads “Which pocket depth applies at grid D4?”",
    ),
    "question rewritten, author confirms": (
        rfi(question_html=REWRITTEN),
        ("question_changed",),
        GOES,
        "",
    ),
    "a file came to the question": (
        rfi(question_attachments=(*QUESTION.question_attachments, DETAIL)),
        (),
        "question_changed",
        "New file: “detail 5.pdf”.",
    ),
    "a file of the submittal was exchanged": (
        replace(SUBMITTED, attachments=(DETAIL,)),
        (),
        "question_changed",
        "New file: “detail 5.pdf”. Removed file: “mix.pdf”.",
    ),
    # rule 4: never overwritten; of an RFI, a further comment
    "replied by web or mail meanwhile": (
        rfi(answers=(reply("91", AMY_REF),)),
        (),
        "already_answered",
        "Confirm to add this return as a further reply",
    ),
    "replied meanwhile, author confirms a further reply": (
        rfi(answers=(reply("91", AMY_REF),)),
        ("already_answered",),
        GOES,
        "",
    ),
    "somebody else replied meanwhile": (rfi(answers=(reply("92", GC),)), (), GOES, ""),
    "an administrator answered the submittal for her": (
        ADMIN_ANSWERED,
        (),
        "already_answered",
        "is not overwritten",
    ),
    "answered for her, and confirming does not overwrite it": (
        ADMIN_ANSWERED,
        ("already_answered", "question_changed", "record_closed"),
        "already_answered",
        "is not overwritten",
    ),
    # rule 6: closed; a comment, or only in Part3; reopened goes
    "RFI closed": (
        rfi(status="closed", ball_in_court=()),
        (),
        "record_closed",
        "confirm it to send it as a comment on the closed RFI, or withdraw it to file it only in",
    ),
    "RFI closed, author wants it as a comment": (
        rfi(status="closed", ball_in_court=()),
        ("record_closed",),
        GOES,
        "",
    ),
    "RFI closed and reopened": (rfi(status="open"), (), GOES, ""),
    "submittal closed": (
        replace(SUBMITTED, status_class="Closed"),
        (),
        "record_closed",
        "withdraw it to file it only in Part3",
    ),
    "submittal closed, and nothing overrules that": (
        replace(SUBMITTED, status_class="Closed"),
        ("record_closed",),
        "record_closed",
        "Gale Cooper",
    ),
    # rule 7: a new revision while the old one is reviewed
    "a new revision came": (
        replace(SUBMITTED, current_revision=False),
        (),
        "revision_superseded",
        "replaced by Submittal 03 30 00-12 revision 1",
    ),
    # rule 8: reassigned
    "RFI reassigned": (
        rfi(assignees=(), ball_in_court=(TOM_REF,)),
        (),
        "not_your_turn",
        "Gale Cooper (RFI Manager)",
    ),
    "submittal's ball elsewhere": (
        replace(SUBMITTED, ball_in_court=(TOM_REF,)),
        (),
        "not_your_turn",
        "is with Tomás Rivera in Procore",
    ),
    "her place given to somebody else": (
        with_row(user=TOM_REF),
        (),
        "not_your_turn",
        "Amy Chen is not an approver",
    ),
    # rule 9: parallel approvers
    "parallel, the other one still open": (BOTH, (), GOES, ""),
    "parallel, the other one answered first": (TOM_ANSWERED, (), GOES, ""),
    # rule 10
    "in the recycle bin": (rfi(deleted=True), (), "record_removed", "restore it"),
}


def read_by_the_author(now: Rfi | Submittal) -> SeenVersion:
    """What stood there when she read it: the sample of its kind."""
    was: Rfi | Submittal = QUESTION if isinstance(now, Rfi) else SUBMITTED
    return seen_of(was)


@pytest.mark.parametrize(("now", "confirmed", "comes", "says"), CASES.values(), ids=CASES)
def test_what_becomes_of_a_return(
    now: Rfi | Submittal, confirmed: tuple[str, ...], comes: str, says: str
) -> None:
    answer = answer_to(now, confirmed_despite=confirmed)
    verdict = check_return(
        answer,
        now,
        me=AMY_REF.id,
        seen=read_by_the_author(now),
        codes=ALL_CODES,
        newer="Submittal 03 30 00-12 revision 1",
    )
    if comes == GOES:
        assert isinstance(verdict, DeliverReply | DeliverResponse), verdict
        return
    assert isinstance(verdict, Hold), verdict
    assert (verdict.reason, says in verdict.message) == (comes, True), verdict.message
    assert verdict.mended_by is not None


# 4.3: one approver with Part3's steps inside, or one approver a firm, each with their own return
SHAPES: dict[str, tuple[Submittal, str, tuple[Return, ...], tuple[str, ...]]] = {
    "(a) the prime alone answers for everybody inside": (
        SUBMITTED,
        AMY_REF.id,
        (answer_to(SUBMITTED),),
        ("301",),
    ),
    "(b) the engineer answers in their own row": (
        BOTH,
        TOM_REF.id,
        (answer_to(BOTH, author=TOM),),
        ("302",),
    ),
}


@pytest.mark.parametrize(("now", "me", "returns", "rows"), SHAPES.values(), ids=SHAPES)
def test_both_shapes_of_review(
    now: Submittal, me: str, returns: tuple[Return, ...], rows: tuple[str, ...]
) -> None:
    verdicts = [
        check_return(one, now, me=me, seen=seen_of(now), codes=ALL_CODES) for one in returns
    ]
    assert [v.approver_id for v in verdicts if isinstance(v, DeliverResponse)] == list(rows)


THREADS = {
    "nothing was said since her reply": (("90", "91"), True),
    "both were written upon the same words": (("90",), True),
    "the contractor asked again": (("90", "91", "92"), False),
}


@pytest.mark.parametrize(("answered", "corrects_it"), THREADS.values(), ids=THREADS)
def test_a_second_reply_is_a_correction_where(answered: tuple[str, ...], corrects_it: bool) -> None:
    seen = replace(seen_of(QUESTION), answered=answered)
    assert corrects("91", seen) is corrects_it


def test_a_correction_says_what_it_supersedes_and_keeps_saying_it() -> None:
    sent = compose(answer_to(rfi(), text="Yes."), "P3-7KQ2M9XR4T", "ref. 2222222222 of 1 May 2026")
    line = "Part3 ref. P3-7KQ2M9XR4T; supersedes ref. 2222222222 of 1 May 2026"
    assert sent.body == f"<p>Yes.</p><p>{line}</p>"


async def test_a_correction_is_proven_with_the_words_it_was_sent_with() -> None:
    bench = Bench(rfi(), answer_to(rfi()))
    bench.memory.earlier = "ref. 2222222222 of 1 May 2026"
    bench.procore.stale_reads = 2
    await bench.attempt()
    bench.memory.earlier = None  # by now its own reply is the last one
    while bench.task.state != "delivered":
        await bench.until_due()
    assert bench.task.receipt is not None
    assert "supersedes ref. 2222222222 of 1 May 2026" in bench.task.receipt.text


async def test_a_comment_that_procore_refuses_is_not_tried_each_minute() -> None:
    answer = answer_to(rfi(), confirmed_despite=("record_closed",))
    bench = Bench(rfi(status="closed"), answer)
    bench.procore.refusal = Refused("Replies can only be added to an open RFI.")
    assert (await bench.attempt()).reason == "comment_refused"
    assert "only be added to an open RFI" in (bench.last_told.message or "")
    tried = [call for call in bench.procore.calls if call[0] == "reply"]
    await bench.until_due()
    assert bench.task.reason == "comment_refused"
    assert [call for call in bench.procore.calls if call[0] == "reply"] == tried
    # reopened: it goes by itself, as the answer that it is
    bench.procore.refusal = None
    bench.procore.record = rfi()
    assert (await bench.until_due()).state == "delivered"


def test_a_pending_row_that_was_sent_back_takes_the_next_return() -> None:
    again = with_row(response=PENDING, returned_at=None)
    verdict = check_return(
        answer_to(again), again, me=AMY_REF.id, seen=seen_of(again), codes=ALL_CODES
    )
    assert isinstance(verdict, DeliverResponse)


def test_each_disposition_a_person_returns_is_known() -> None:
    known: tuple[Disposition, ...] = ("proceed", "revise_resubmit", "rejected", "record_only")
    assert all(ALL_CODES.get(one) is not None for one in known)
