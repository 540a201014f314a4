"""After the return: what counts as a change of a delivered answer, and what is the GC's own right.

Field notes 4.7, rule 5: a later change is never fought, but recorded and told.
"""

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from schemas.returns import Receipt, ReceiptAuthor, ReceiptFile
from services.procore.models import Attachment, Rfi, Submittal
from sync_worker.outbound.seals import attached_ids, changes_in, elsewhere, hash_of, seal_of
from tests.outbound.samples import (
    AMY_REF,
    APPROVED,
    AS_NOTED,
    FORWARDED,
    GC,
    NOON,
    PENDING,
    TOM_REF,
    approver,
    reply,
    rfi,
    submittal,
)

SKETCH = Attachment(id="501", name="sketch.pdf", url=None)
OTHER = Attachment(id="502", name="sketch.pdf", url=None)
REPLY = reply("91", AMY_REF, "<p>Use 150 mm.</p>", attachments=(SKETCH,))
ROW = approver(
    "301",
    AMY_REF,
    2,
    response=AS_NOTED,
    comment="Mind the cover.",
    returned_at=NOON,
    attachments=(SKETCH,),
)
AUTHOR = ReceiptAuthor(procore_id=AMY_REF.id, name=AMY_REF.name)
FILES = (ReceiptFile(name="sketch.pdf", size=3, sha256="ab" * 32, procore_id="501"),)
OF_REPLY = seal_of(
    "rfi", Receipt(procore_id="91", author=AUTHOR, at=NOON, text=REPLY.html, files=FILES), None
)
OF_ROW = seal_of(
    "submittal",
    Receipt(
        procore_id="301",
        author=AUTHOR,
        at=NOON,
        text="Mind the cover.",
        response=AS_NOTED.name,
        files=FILES,
    ),
    AS_NOTED,
)


def answered(**changes: object) -> Rfi:
    return rfi(answers=(replace(REPLY, **changes),))


def responded(**changes: object) -> Submittal:
    return submittal(approvers=(replace(ROW, **changes), approver("302", TOM_REF, 3)))


REPLIES = {
    "left alone": (answered(), ()),
    "marked official, which is the contractor's right": (answered(official=True), ()),
    "saved anew with other markup and spaces": (
        answered(html="<div>Use&nbsp; 150 mm.</div>\n"),
        (),
    ),
    "followed by somebody else's reply": (
        rfi(answers=(REPLY, reply("92", GC, "<p>Thanks.</p>"))),
        (),
    ),
    "its RFI closed": (replace(answered(), status="closed"), ()),
    "one figure changed": (
        answered(html="<p>Use 250 mm.</p>"),
        ("The text of the reply was changed.",),
    ),
    "deleted": (rfi(answers=()), ("The reply was deleted.",)),
    "its file taken off": (answered(attachments=()), ("The file “sketch.pdf” was removed.",)),
    "its file exchanged under the same name": (
        answered(attachments=(OTHER,)),
        ("The file “sketch.pdf” was removed.", "The file “sketch.pdf” was added."),
    ),
    "a file put beside it": (
        answered(attachments=(SKETCH, OTHER)),
        ("The file “sketch.pdf” was added.",),
    ),
    "put under another name": (
        answered(author_id=GC.id, author_name=GC.name),
        ("The reply stands under Gale Cooper now.",),
    ),
}


@pytest.mark.parametrize(("now", "said"), REPLIES.values(), ids=REPLIES)
def test_a_delivered_reply(now: Rfi, said: tuple[str, ...]) -> None:
    assert changes_in(OF_REPLY, now, attached_ids(OF_REPLY, answered())) == said


RESPONSES = {
    "left alone": (responded(), ()),
    "its response renamed for the whole project": (
        responded(response=replace(AS_NOTED, name="Make Corrections Noted")),
        (),
    ),
    "escaped on saving": (responded(comment="Mind&#32;the  cover."), ()),
    "closed and distributed": (
        replace(responded(), status_class="Closed", distributed_at=NOON),
        (),
    ),
    "turned into a looser one": (
        responded(response=APPROVED),
        ("The response was changed from “Approved as Noted” to “Approved”.",),
    ),
    "its comment cut": (responded(comment=None), ("The comment was changed.",)),
    "its file taken off": (responded(attachments=()), ("The file “sketch.pdf” was removed.",)),
    "sent back for another answer": (
        responded(response=PENDING, returned_at=None),
        ("The response “Approved as Noted” was taken back: another one is asked for.",),
    ),
    "its row handed to somebody else": (
        responded(user=TOM_REF),
        ("Its place in the workflow is Tomás Rivera's now.",),
    ),
    "its row removed": (
        submittal(approvers=()),
        ("The response was removed, with its place in the workflow.",),
    ),
}


@pytest.mark.parametrize(("now", "said"), RESPONSES.values(), ids=RESPONSES)
def test_a_delivered_response(now: Submittal, said: tuple[str, ...]) -> None:
    assert changes_in(OF_ROW, now, attached_ids(OF_ROW, responded())) == said


def test_files_that_were_there_before_count_only_once_that_is_known() -> None:
    both = answered(attachments=(OTHER, SKETCH))
    assert changes_in(OF_REPLY, both) == ()
    assert changes_in(OF_REPLY, both, attached_ids(OF_REPLY, both)) == ()


SEALS: dict[str, Callable[[], str]] = {
    "other words": lambda: hash_of("Use 250 mm.", None, OF_REPLY.files),
    "another code": lambda: hash_of(OF_REPLY.words, AS_NOTED.id, OF_REPLY.files),
    "no file": lambda: hash_of(OF_REPLY.words, None, ()),
}


@pytest.mark.parametrize("other", SEALS.values(), ids=SEALS)
def test_the_seal_is_over_words_code_and_files(other: Callable[[], str]) -> None:
    assert OF_REPLY.sha256 == hash_of("Use 150 mm.", None, OF_REPLY.files)
    assert other() != OF_REPLY.sha256


OPEN, TEAM = {"301", "302"}, {AMY_REF.id, TOM_REF.id}
ELSEWHERE = {
    "an administrator answers for her": (responded(), OPEN, TEAM, (), True),
    "her return answered it": (responded(), OPEN, TEAM, ("301",), False),
    "it was answered before it was ever mirrored": (responded(), {"302"}, TEAM, (), False),
    "somebody who is not on the team answers": (responded(user=GC), OPEN, TEAM, (), False),
    "it is forwarded, which answers nothing": (
        responded(response=FORWARDED, returned_at=NOON),
        OPEN,
        TEAM,
        (),
        False,
    ),
}


@pytest.mark.parametrize(
    ("now", "open_before", "team", "ours", "told"), ELSEWHERE.values(), ids=ELSEWHERE
)
def test_an_answer_on_somebodys_behalf(
    now: Submittal, open_before: set[str], team: set[str], ours: tuple[str, ...], told: bool
) -> None:
    found = elsewhere(now, open_before, team, ours)
    assert set(found) == ({"301"} if told else set())
    if told:
        assert "“Approved as Noted” was given for Amy Chen in Procore" in found["301"]
