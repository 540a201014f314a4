"""A look compares what arrived with what Procore holds, writes it down, and fights nothing."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio

from schemas.returns import Receipt, ReceiptAuthor
from sync_worker.outbound.seal_store import seal
from tests.worker.bench import Bench
from tests.worker.sides import PROJECT, later, rfi_json, submittal_json

pytestmark = pytest.mark.postgres
AMY, GC = {"id": 9001, "name": "Amy Chen"}, {"id": 9009, "name": "Gale Cooper"}
CHANGED = "Changed after it was returned"
TEAM = (
    '[{"member": {"user_id": "u-amy", "name": "Amy Chen", "email": "", "company": "", '
    '"role": "prime_consultant"}, "procore_id": "9001"}]'
)


def thread(at: float, *bodies: str, **fields: Any) -> dict[str, Any]:
    answers = [
        {"id": 91 + n, "rich_text_body": body, "created_by_id": 9001, "created_by": "Amy Chen"}
        for n, body in enumerate(bodies)
    ]
    question = [{"rich_text_body": "<p>Why?</p>", "answers": answers, "attachments": []}]
    return rfi_json(1, updated_at=later(at), questions=question, rfi_manager=GC) | fields


def workflow(at: float, response: str, **row: Any) -> dict[str, Any]:
    answered = {"id": {"pending": 1, "approved": 2}[response], "name": response.capitalize()}
    approver = {
        "id": 301,
        "approver_type": "Approver",
        "user": AMY,
        "workflow_group_number": 1,
        "response": answered | {"considered": response},
    }
    return submittal_json(7, updated_at=later(at), approvers=[approver | row])


async def deliver(bench: Bench, kind: str, record_id: str, remote_id: str, text: str) -> None:
    await bench.postgres.execute(
        "INSERT INTO mirror.deliveries (return_id, project_id, kind, procore_id, author_user_id, "
        "author_name, state, remote_id) VALUES ('ret_1', $1, $2, $3, 'u-amy', 'Amy Chen', "
        "'delivered', $4)",
        PROJECT,
        kind,
        record_id,
        remote_id,
    )
    author = ReceiptAuthor(procore_id="9001", name="Amy Chen")
    at = datetime(2026, 11, 20, 10, tzinfo=UTC)
    receipt = Receipt(procore_id=remote_id, author=author, at=at, text=text)
    await seal(bench.postgres, "ret_1", receipt)


@pytest_asyncio.fixture
async def delivered(bench: Bench) -> AsyncIterator[Bench]:
    """Amy's reply has arrived, and a look has seen it."""
    await bench.connect()
    bench.procore.hold("rfi", thread(5, "<p>Use 150 mm.</p>"))
    await deliver(bench, "rfi", "1", "91", "<p>Use 150 mm.</p>")
    await bench.looked("rfi", "1")
    assert CHANGED not in bench.shown("rfi", "1").extras
    yield bench


async def told(bench: Bench) -> list[dict[str, Any]]:
    rows = await bench.rows("activity")
    return [row for row in rows if row["event"].startswith("answer.")]


async def notice_by(bench: Bench, user_id: str) -> None:
    await bench.want("rfi", "1")
    await bench.postgres.execute("UPDATE mirror.looks SET changed_by = $1", user_id)


async def test_a_text_changed_behind_our_back_is_written_down_with_who_and_when(
    delivered: Bench,
) -> None:
    delivered.procore.hold("rfi", thread(60, "<p>Use 250 mm.</p>"))
    await notice_by(delivered, "9009")
    await delivered.looked("rfi", "1")
    (row,) = await told(delivered)
    assert (row["event"], row["return_id"]) == ("answer.changed", "ret_1")
    assert row["person"] == {
        "name": "Gale Cooper",
        "procore_id": None,
        "email": None,
        "company": None,
    }
    for words in ("Amy Chen's answer", "text of the reply was changed", "by Gale Cooper"):
        assert words in row["words"]
        assert words in delivered.shown("rfi", "1").extras[CHANGED] or words == "Amy Chen's answer"
    assert "20 Nov 2026, 09:01 UTC" in row["words"]
    # it is told once, however often it is looked at
    puts = list(delivered.part3.puts)
    await delivered.looked("rfi", "1")
    assert (len(await told(delivered)), delivered.part3.puts) == (1, puts)


async def test_what_is_put_right_again_is_told_too(delivered: Bench) -> None:
    delivered.procore.hold("rfi", thread(60))
    await delivered.looked("rfi", "1")
    assert "The reply was deleted." in delivered.shown("rfi", "1").extras[CHANGED]
    delivered.procore.hold("rfi", thread(90, "<p>Use 150 mm.</p>"))
    await delivered.looked("rfi", "1")
    assert CHANGED not in delivered.shown("rfi", "1").extras
    assert [row["event"] for row in await told(delivered)] == ["answer.changed", "answer.restored"]


async def test_an_official_mark_and_a_closed_rfi_are_no_change_of_the_answer(
    delivered: Bench,
) -> None:
    closed = thread(60, "<p>Use 150 mm.</p>", status="closed")
    closed["questions"][0]["answers"][0]["official"] = True
    delivered.procore.hold("rfi", closed)
    await delivered.looked("rfi", "1")
    assert delivered.shown("rfi", "1").replies[0].official
    assert await told(delivered) == []


async def test_a_read_from_before_the_delivery_raises_no_alarm(bench: Bench) -> None:
    await bench.connect()
    bench.procore.hold("rfi", thread(5))
    await deliver(bench, "rfi", "1", "91", "<p>Use 150 mm.</p>")
    await bench.looked("rfi", "1")
    assert await told(bench) == []
    await bench.postgres.execute(
        "UPDATE mirror.sealed_answers SET sealed_at = now() - interval '3 minutes'"
    )
    await bench.looked("rfi", "1")
    assert [row["event"] for row in await told(bench)] == ["answer.changed"]


async def test_a_code_changed_behind_our_back_is_told_and_another_answer_seals_anew(
    bench: Bench,
) -> None:
    await bench.connect()
    bench.procore.hold("submittal", workflow(5, "approved", comment="Fine."))
    await deliver(bench, "submittal", "7", "301", "Fine.")
    await bench.looked("submittal", "7")
    bench.procore.hold("submittal", workflow(9, "approved", comment="Fine. And hurry."))
    await bench.looked("submittal", "7")
    assert "The comment was changed." in bench.shown("submittal", "7").extras[CHANGED]
    # a later return of hers is on its way: what stands there may be that one
    await bench.postgres.execute(
        "INSERT INTO mirror.deliveries (return_id, project_id, kind, procore_id, author_user_id, "
        "author_name, state) VALUES ('ret_2', $1, 'submittal', '7', 'u-amy', 'Amy Chen', "
        "'sending')",
        PROJECT,
    )
    bench.procore.hold("submittal", workflow(20, "approved", comment="Second answer."))
    await bench.looked("submittal", "7")
    assert [row["event"] for row in await told(bench)] == ["answer.changed"]


async def test_a_response_given_on_her_behalf_is_told(bench: Bench) -> None:
    await bench.connect()
    await bench.postgres.execute("UPDATE mirror.projects SET team_known = $1", TEAM)
    bench.procore.hold("submittal", workflow(5, "pending"))
    await bench.looked("submittal", "7")
    bench.procore.hold("submittal", workflow(9, "approved", returned_date=later(9)))
    await bench.looked("submittal", "7")
    (row,) = await told(bench)
    assert row["event"] == "answer.elsewhere"
    words = "“Approved” was given for Amy Chen in Procore and not through Part3"
    assert words in row["words"]
    assert words in bench.shown("submittal", "7").extras["Answered in Procore"]
    bench.procore.hold("submittal", workflow(12, "approved", comment="x", returned_date=later(9)))
    await bench.looked("submittal", "7")
    assert len(await told(bench)) == 1
    assert words in bench.shown("submittal", "7").extras["Answered in Procore"]
