from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from sandbox.part3.pages import words
from sandbox.part3.pages.frame import own_path, safe_html
from sandbox.part3.wire import Delivery, Member, Person, Readiness, Record, Return
from tests.sandbox.part3.conftest import a_record

NOW = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)
MAYA = Member(
    user_id="usr_maya",
    name="Maya Lindqvist",
    email="maya@la.example",
    company="LA",
    role="prime_consultant",
)
INES = Member(user_id="u3", name="Ines", email="ines@o.example", company="O", role="owner")


def a_return(state: str = "held") -> Return:
    return msgspec.convert(
        {
            "id": "ret_1",
            "project_id": "p",
            "kind": "rfi",
            "procore_id": "1",
            "author": msgspec.to_builtins(MAYA),
            "returned_at": "2026-11-24T10:00:00Z",
            "seen_content_version": "cv",
            "confirmed_despite": [],
            "state": state,
        },
        Return,
    )


def held(reason: str, mended_by: Person | None = None) -> Delivery:
    return Delivery(state="held", as_of=NOW, reason=reason, mended_by=mended_by)


@pytest.mark.parametrize("reason", ["question_changed", "already_answered", "record_closed"])
def test_the_author_may_send_anyway_what_only_the_author_can_judge(reason: str) -> None:
    assert words.standing(a_return(), held(reason), "usr_maya").can_confirm


@pytest.mark.parametrize("reason", ["not_authorized", "code_unmapped", "not_permitted"])
def test_what_sending_anyway_would_not_help_is_not_offered(reason: str) -> None:
    assert not words.standing(a_return(), held(reason), "usr_maya").can_confirm


def test_an_author_without_a_grant_is_led_to_the_account_settings() -> None:
    assert words.standing(a_return(), held("not_authorized"), "usr_maya").must_authorize
    assert not words.standing(a_return(), held("not_authorized"), "usr_other").must_authorize


def test_others_can_neither_confirm_nor_withdraw() -> None:
    stands = words.standing(a_return(), held("question_changed"), "usr_other")
    assert not stands.can_confirm
    assert not stands.can_withdraw


def test_a_held_return_says_who_can_clear_it() -> None:
    mender = Person(name="Greta Olsen", email="greta@gc.example")
    stands = words.standing(a_return(), held("not_your_turn", mender), "usr_maya")
    assert stands.mended_by == "Greta Olsen"
    assert not stands.can_confirm


def test_the_connectors_own_words_come_first() -> None:
    delivery = Delivery(state="held", as_of=NOW, reason="record_closed", message="RFI A-1 closed.")
    assert words.standing(a_return(), delivery, "usr_maya").text == "RFI A-1 closed."


@pytest.mark.parametrize(
    ("state", "delivery", "word"),
    [
        ("pending", None, "Sending"),
        ("pending", Delivery(state="sending", as_of=NOW), "Sending"),
        ("pending", Delivery(state="waiting", as_of=NOW, reason="rate_limited"), "Waiting"),
        ("pending", held("question_changed"), "Sending"),
        ("held", held("question_changed"), "Held"),
        ("delivered", Delivery(state="delivered", as_of=NOW), "Delivered"),
        ("withdrawn", None, "Withdrawn"),
        ("failed", Delivery(state="failed", as_of=NOW), "Not sent"),
    ],
)
def test_each_state_has_its_word(state: str, delivery: Delivery | None, word: str) -> None:
    assert words.standing(a_return(state), delivery, "usr_maya").word == word


def test_a_private_record_is_for_those_it_names() -> None:
    people = [{"name": "M. Lindqvist", "email": "Maya@LA.example"}]
    private = msgspec.convert(a_record(private=True, assignees=people), Record)
    assert words.may_see(private, MAYA, (), returned=False)
    assert not words.may_see(private, INES, (), returned=False)
    assert words.may_see(private, INES, ("u3",), returned=False)
    assert words.may_see(private, INES, (), returned=True)
    assert words.may_see(msgspec.convert(a_record(), Record), INES, (), returned=False)


def test_readiness_speaks_to_each_person_for_themselves() -> None:
    mender = Person(name="Maya Lindqvist")
    blocked = Readiness(returnable=False, as_of=NOW, reason="not_authorized", mended_by=mender)
    ready = Readiness(returnable=True, as_of=NOW, for_user_ids=("usr_maya",))
    assert words.readiness_line(ready, MAYA) == ("good", "You can return this now.")
    assert words.readiness_line(blocked, MAYA) == (
        "warn",
        "The author has not authorized Procore yet. Who can clear it: Maya Lindqvist.",
    )
    assert words.readiness_line(blocked, INES) is None
    assert words.readiness_line(None, MAYA) is None


def test_html_from_elsewhere_loses_what_could_act() -> None:
    evil = "<p onclick='x()'>Hi<script>x()</script><img src=x onerror=x()></p>"
    assert safe_html(evil) == "<p>Hi</p>"
    assert "javascript" not in safe_html("<a href='javascript:x()'>go</a>")


@pytest.mark.parametrize(
    "path", ["https://evil.example", "//evil.example", "/\\evil", "x", "", None, "/a\nb"]
)
def test_after_login_nobody_is_led_elsewhere(path: str | None) -> None:
    assert own_path(path) == "/projects"
    assert own_path("/projects/p/rfis") == "/projects/p/rfis"


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (999, "999 B"), (1400, "1.4 kB"), (23_400_000, "23 MB")]
)
def test_sizes_read_like_sizes(size: int, text: str) -> None:
    assert words.file_size(size) == text


def test_extras_are_lines_of_label_and_value() -> None:
    extras: dict[str, Any] = {
        "cost_code": "03",
        "Cost Impact": {"value": 1200, "label": "Yes, 1200"},
        "Empty": None,
        "Areas": ["A", "B"],
        "Urgent": True,
        "files_pending": 2,
    }
    assert words.extra_lines(extras) == [
        ("Cost code", "03"),
        ("Cost Impact", "Yes, 1200"),
        ("Areas", "A, B"),
        ("Urgent", "Yes"),
    ]


def test_dates_and_times_read_as_people_write_them() -> None:
    assert words.day("2026-12-04") == "4 Dec 2026"
    assert words.moment("2026-12-04T15:05:00+01:00") == "4 Dec 2026, 14:05 UTC"
    assert words.moment("soon") == "soon"
