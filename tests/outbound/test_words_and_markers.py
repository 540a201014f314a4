"""What we write reads back equal, whatever its author typed; and markers are told apart."""

import html
import re

from hypothesis import assume, example, given
from hypothesis import strategies as st

from services.procore.models import Answer, Approver
from sync_worker.outbound.compose import compose
from sync_worker.outbound.marker import MARKER, carries, marker_of, op_key
from sync_worker.outbound.plain_text import paragraphs, words, words_of_html
from sync_worker.outbound.read_back import Differs, reply_receipt, response_receipt
from tests.outbound.samples import (
    AMY_REF,
    AS_NOTED,
    NOON,
    TOM_REF,
    answer_to,
    approver,
    file_of,
    reply,
    rfi,
    submittal,
)

KEY = b"k" * 32
MARK = "P3-7KQ2M9XR4T"
TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from("\n\r\t <>&\"'"))


def posted(text: str) -> Answer:
    return reply("1", AMY_REF, compose(answer_to(rfi(), text=text), MARK).body)


@given(TEXTS)
@example("<b>bold</b> & <script>alert(1)</script>")
@example("1 < 2 &amp; 3 > 2\n\n\n  indented")
def test_an_authors_words_look_the_same_as_html(text: str) -> None:
    assert words_of_html(paragraphs(text)) == words(text)


@given(TEXTS)
def test_a_reply_reads_back_equal_to_what_was_sent(text: str) -> None:
    sent = compose(answer_to(rfi(), text=text), MARK)
    receipt = reply_receipt(sent, posted(text), me=AMY_REF.id, files=(), read_at=NOON)
    assert not isinstance(receipt, Differs)


@given(TEXTS, TEXTS)
def test_other_words_do_not_read_back_equal(text: str, other: str) -> None:
    assume(words(text) != words(other))
    sent = compose(answer_to(rfi(), text=text), MARK)
    receipt = reply_receipt(sent, posted(other), me=AMY_REF.id, files=(), read_at=NOON)
    assert isinstance(receipt, Differs)


@given(TEXTS)
def test_a_comment_reads_back_equal_also_where_procore_escapes_it(text: str) -> None:
    sent = compose(answer_to(submittal(), text=text), MARK)

    def read_back(comment: str) -> object:
        row: Approver = approver("301", AMY_REF, 2, response=AS_NOTED, comment=comment)
        return response_receipt(sent, row, response=AS_NOTED, me=AMY_REF.id, files=(), read_at=NOON)

    assert not isinstance(read_back(sent.body), Differs)
    assert not isinstance(read_back(html.escape(sent.body)), Differs)


@given(st.text(st.characters(categories=["Cc", "Cs"]) | st.sampled_from("ab\n")))
def test_what_no_side_can_store_is_left_out(text: str) -> None:
    body = compose(answer_to(submittal(), text=text), MARK).body
    assert not any(ord(c) < 32 and c not in "\n\t" for c in body)
    assert body.encode()


def test_a_reply_under_another_name_is_no_delivery() -> None:
    sent = compose(answer_to(rfi()), MARK)
    theirs = reply("1", TOM_REF, sent.body)
    assert isinstance(reply_receipt(sent, theirs, me=AMY_REF.id, files=(), read_at=NOON), Differs)


def test_the_marker_is_the_last_line_people_see() -> None:
    answer = answer_to(rfi(), text="Yes.", files=(file_of(b"x", "a.pdf"),))
    assert compose(answer, MARK).body == f"<p>Yes.</p><p>Part3 ref. {MARK}</p>"
    comment = compose(answer_to(submittal(), text=None), MARK)
    assert comment.body == f"Part3 ref. {MARK}"


PARTS = st.fixed_dictionaries(
    {
        name: st.text(max_size=8)
        for name in ("connection", "kind", "source_item", "source_revision", "operation")
    }
)


@given(PARTS, PARTS)
def test_the_same_operation_has_the_same_marker_and_another_one_another(
    parts: dict[str, str], others: dict[str, str]
) -> None:
    assert (op_key(**parts) == op_key(**others)) == (parts == others)
    marker = marker_of(KEY, op_key(**parts))
    assert re.fullmatch(MARKER, marker)
    assert marker != marker_of(b"o" * 32, op_key(**parts))


def test_a_marker_is_found_as_a_word_only() -> None:
    assert carries(f"<p>Part3 ref. {MARK}</p>", MARK)
    assert not carries(f"XP3-7KQ2M9XR4T and {MARK}9", MARK)
    assert not carries(None, MARK)
