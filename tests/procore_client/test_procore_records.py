"""Procore's RFIs and submittals as the workers read and answer them."""

from datetime import UTC, date, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.errors import OutcomeUnknown, TryLater
from services.procore.models import Rfi, Submittal
from services.procore.pacer import Priority
from services.procore.reading import read_rfi, read_submittal
from tests.procore_client.sides import AMY, PLACE, Side, json_answer, procore_at

RFI: dict[str, Any] = {
    "id": 9007199254740993,
    "link": "https://us02.procore.com/501/project/rfi/1",
    "subject": "Beam at grid C4",
    "title": "Beam at grid C4",
    "status": "open",
    "translated_status": "Open",
    "number": "14",
    "full_number": "A-014",
    "revision": "0",
    "private": False,
    "due_date": "2026-12-01",
    "initiated_at": "2026-11-20T14:00:00Z",
    "created_at": "2026-11-20T13:00:00Z",
    "updated_at": "2026-11-24T02:00:00Z",
    "time_resolved": None,
    "assignees": [
        {"id": 31, "login": "amy@arch.test", "name": "Amy (Arch)", "response_required": True}
    ],
    "ball_in_court": None,
    "ball_in_courts": [{"id": 31, "name": "Amy"}],
    "rfi_manager": {"id": 12, "name": "Gus"},
    "distribution_list": [{"id": 12, "name": "Gus"}],
    "questions": [
        {
            "id": 5,
            "rich_text_body": "<p>Which beam?</p>",
            "plain_text_body": "Which beam?",
            "attachments": [
                {"id": 71, "url": "https://storage.procore.com/1", "filename": "a.pdf"}
            ],
            "answers": [
                {
                    "id": 8,
                    "official": True,
                    "answer_date": "2026-11-21T09:00:00Z",
                    "rich_text_body": "<p>W12</p>",
                    "created_by": "Amy (Arch)",
                    "created_by_id": 31,
                    "attachments": [],
                }
            ],
        }
    ],
    "cost_impact": {"status": "yes_known", "value": "1200.0"},
    "schedule_impact": {"status": "tbd", "value": None},
    "location": {"id": 1, "name": "Level 2"},
    "priority": {"name": False, "value": None},
    "specification_section": {"id": 2, "number": "05 12 00", "description": "Structural Steel"},
    "custom_fields": {"custom_field_88": {"data_type": "string", "value": "north"}},
    "connect_export_origin": None,
    "guid": "undocumented",
}
SUBMITTAL: dict[str, Any] = {
    "id": 4101,
    "number": "7",
    "formatted_number": "05 12 00-7",
    "title": "Shop drawings",
    "description": "Bolts &amp; plates",
    "revision": "1",
    "current_revision": True,
    "source_submittal_log_id": 4100,
    "private": False,
    "status": {"id": 3, "name": "Approved / No Exceptions Taken", "status": "Closed"},
    "type": {"id": 1, "name": "Shop Drawing", "translated_name": "Shop Drawing"},
    "submittal_package": {"id": 6, "title": "Steel", "number": "1", "name": "Steel"},
    "specification_section": {"label": "05 12 00 Structural Steel"},
    "submittal_manager": {"id": 12, "name": "Gus"},
    "ball_in_court": [{"id": 31, "name": "Amy"}, {"id": 32, "name": "Tom"}],
    "distribution_members": [],
    "due_date": "2026-12-01",
    "distributed_at": None,
    "closed_at": None,
    "updated_at": "2026-11-24T02:00:00.123Z",
    "approvers": [
        {
            "id": 901,
            "approver_type": "Submitter",
            "user": {"id": 50, "name": "Sub"},
            "response": {"id": 1, "name": "Submitted", "considered": "submitted"},
            "comment": None,
            "workflow_group_number": 0,
            "response_required": True,
            "sent_date": "2026-11-20",
            "returned_date": "2026-11-20",
            "associated_attachments": [],
        },
        {
            "id": 902,
            "approver_type": "Approver",
            "user": {"id": 31, "name": "Amy"},
            "response": {"id": 2, "name": "Pending", "considered": "pending"},
            "workflow_group_number": 1,
            "response_required": True,
        },
    ],
    "associated_attachments": [
        {"id": 1, "attachment_id": 81, "filename": "s.pdf", "url": "/f/81", "content_type": "x/y"}
    ],
}


async def test_an_rfi_is_read_with_its_question_thread_and_people() -> None:
    side = Side([json_answer(RFI)])
    rfi = await procore_at(side).rfi(PLACE, "9007199254740993", whose=AMY)
    assert side.requests[0].url.path == "/rest/v1.0/projects/501/rfis/9007199254740993"
    assert (rfi.id, rfi.full_number, rfi.due_on) == ("9007199254740993", "A-014", date(2026, 12, 1))
    assert rfi.question_html == "<p>Which beam?</p>"
    assert [one.id for one in rfi.question_attachments] == ["71"]
    assert rfi.answers is not None
    assert [(one.id, one.author_id, one.official) for one in rfi.answers] == [("8", "31", True)]
    assert [one.id for one in rfi.ball_in_court] == ["31"]
    assert rfi.assignees[0].required
    assert rfi.updated_at == datetime(2026, 11, 24, 2, tzinfo=UTC)
    assert rfi.initiated_on == date(2026, 11, 20)
    assert rfi.extras["Location"] == "Level 2"
    assert rfi.extras["Cost impact"] == "yes known (1200)"
    assert "Priority" not in rfi.extras


async def test_a_submittal_is_read_with_its_workflow_and_class() -> None:
    side = Side([json_answer(SUBMITTAL)])
    submittal = await procore_at(side).submittal(PLACE, "4101", whose=AMY)
    assert side.requests[0].url.path == "/rest/v1.1/projects/501/submittals/4101"
    assert (submittal.status_class, submittal.status_name) == (
        "Closed",
        "Approved / No Exceptions Taken",
    )
    assert submittal.source_submittal_id == "4100"
    assert submittal.spec_section == "05 12 00 Structural Steel"
    assert [(row.id, row.type, row.has_responded) for row in submittal.approvers] == [
        ("901", "submitter", True),
        ("902", "approver", False),
    ]
    assert submittal.attachments[0].id == "81"


async def test_several_submittals_cost_one_call_and_what_is_not_asked_for_is_not_taken() -> None:
    stranger = SUBMITTAL | {"id": 5}
    side = Side([json_answer([SUBMITTAL, stranger])])
    found = await procore_at(side).submittals(PLACE, ["4101", "4102"], whose=AMY)
    assert set(found) == {"4101"}
    params = side.requests[0].url.params
    assert params.get_list("filters[id][]") == ["4101", "4102"]
    assert len(side.requests) == 1


async def test_one_unreadable_submittal_does_not_hide_the_others() -> None:
    side = Side([json_answer([{"id": 4102, "title": "no time"}, SUBMITTAL, "junk", None])])
    found = await procore_at(side).submittals(PLACE, ["4101", "4102"], whose=AMY)
    assert set(found) == {"4101"}


async def test_a_record_without_an_id_or_a_time_is_tried_later() -> None:
    for broken in ({"id": 1}, {"updated_at": "2026-11-24T02:00:00Z"}, {"id": 1, "updated_at": "x"}):
        with pytest.raises(TryLater):
            await procore_at(Side([json_answer(broken)])).rfi(PLACE, "1", whose=AMY)


async def test_pages_are_asked_for_by_number_in_a_stable_order_within_a_closed_window() -> None:
    side = Side([json_answer([SUBMITTAL], headers={"Total": "201", "Link": '<x>; rel="next"'})])
    page = await procore_at(side).page(
        "submittal",
        PLACE,
        whose=AMY,
        priority=Priority.SWEEP,
        number=2,
        updated_from=datetime(2026, 11, 1, tzinfo=UTC),
        updated_to=datetime(2026, 11, 2, tzinfo=UTC),
    )
    assert (page.total, page.next_page, len(page.items)) == (201, 3, 1)
    params = side.requests[0].url.params
    assert params["filters[updated_at]"] == "2026-11-01T00:00:00Z...2026-11-02T00:00:00Z"
    assert (params["page"], params["per_page"], params["sort"]) == ("2", "100", "number")


@pytest.mark.parametrize("link", ['<https://evil.test/?page=1>; rel="next"', ""])
async def test_paging_trusts_neither_a_foreign_link_nor_its_absence(link: str) -> None:
    hundred = [SUBMITTAL | {"id": number} for number in range(100)]
    side = Side([json_answer(hundred, headers={"Link": link} if link else {})])
    page = await procore_at(side).page(
        "rfi", PLACE, whose=AMY, priority=Priority.BACKFILL, number=1
    )
    assert page.next_page == 2
    assert side.requests[0].url.host == "api.procore.test"


async def test_a_link_that_always_says_next_ends_at_an_empty_page() -> None:
    always = {"Link": '<x>; rel="next"'}
    side = Side([json_answer([{"id": 1}], headers=always), json_answer([], headers=always)])
    assert await procore_at(side).recycled("rfi", PLACE, whose=AMY) == {"1"}
    assert len(side.requests) == 2


async def test_a_recycle_bin_that_is_not_to_be_seen_is_empty() -> None:
    side = Side([json_answer({"message": "no"}, 404)])
    assert await procore_at(side).recycled("submittal", PLACE, whose=AMY) == frozenset()


async def test_a_v2_envelope_is_opened() -> None:
    side = Side([json_answer({"data": [{"id": "7"}]})])
    assert await procore_at(side).recycled("rfi", PLACE, whose=AMY) == {"7"}


async def test_a_reply_carries_its_uploads_and_gives_its_id() -> None:
    side = Side([json_answer({"id": 8, "official": False}, 201)])
    reply_id = await procore_at(side).post_reply(
        PLACE, "9", "<p>W12</p>", ("u-1", "u-2"), whose=AMY
    )
    assert reply_id == "8"
    request = side.requests[0]
    assert (request.method, request.url.path) == ("POST", "/rest/v1.0/projects/501/rfis/9/replies")
    assert msgspec.json.decode(request.content) == {
        "reply": {"body": "<p>W12</p>", "upload_ids": ["u-1", "u-2"]}
    }


@pytest.mark.parametrize("body", [{}, [], {"id": None}, "text", None])
async def test_a_reply_taken_without_a_readable_id_is_of_unknown_outcome(body: Any) -> None:
    with pytest.raises(OutcomeUnknown):
        await procore_at(Side([json_answer(body, 201)])).post_reply(
            PLACE, "9", "<p>W12</p>", (), whose=AMY
        )


def full_of(value: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """A record some of whose fields hold anything that JSON can."""
    return st.dictionaries(st.sampled_from(sorted(value)), JSON, max_size=8).map(
        lambda odd: value | {key: odd[key] for key in odd if key not in ("id", "updated_at")}
    )


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["id", "name", "status", "value", "user", "response", "answers", "url"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=10,
)


@given(full_of(RFI), st.booleans())
def test_whatever_an_rfis_fields_hold_it_is_read(value: dict[str, Any], full: bool) -> None:
    rfi = read_rfi(value, full=full)
    assert isinstance(rfi, Rfi)
    assert (rfi.id, rfi.answers is not None) == ("9007199254740993", full)
    msgspec.json.encode(rfi)


@given(full_of(SUBMITTAL))
def test_whatever_a_submittals_fields_hold_it_is_read(value: dict[str, Any]) -> None:
    submittal = read_submittal(value)
    assert isinstance(submittal, Submittal)
    msgspec.json.encode(submittal)


def test_a_plain_question_is_not_mistaken_for_html() -> None:
    question = [{"id": 5, "plain_text_body": "span <12 m & load >3 kN"}]
    assert read_rfi(RFI | {"questions": question}, full=True).question_html == (
        "span &lt;12 m &amp; load &gt;3 kN"
    )


def test_texts_lose_what_no_database_takes() -> None:
    rfi = read_rfi(RFI | {"subject": "Beam\u0000 C4", "reference": "a\u0000b"}, full=True)
    assert rfi.subject == "Beam C4"
    assert rfi.extras["Reference"] == "ab"
