"""What holds of every record, whatever Procore answers: it translates, and says the same again."""

import copy
import random
import re
from html.parser import HTMLParser
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.records import Record
from services.errors import TryLater
from services.procore.reading import read_rfi, read_submittal
from sync_worker.activity import changed_fields
from sync_worker.inbound.content_version import content_version
from sync_worker.inbound.translate import sanitised, translate_rfi, translate_submittal
from tests.inbound.samples import RFI_SHOW, SUBMITTAL_ITEM, files_of, rfi_record, submittal_record

TEXT = st.text(max_size=12) | st.sampled_from(
    ["\0", "\ud800", "2026-11-24", "9999-12-31T23:59:59-12:00", "&amp;#0;", "<b", "NaN", "-1"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


def some_of(sample: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """The sample with some of its values, at any depth, replaced by anything."""

    def replaced(seed: int, values: list[Any]) -> dict[str, Any]:
        chance = random.Random(seed)
        value = copy.deepcopy(sample)
        for new in values:
            inside: Any = value
            while True:
                key = chance.choice(
                    list(inside) if isinstance(inside, dict) else range(len(inside))
                )
                deeper = inside[key]
                if not isinstance(deeper, dict | list) or not deeper or chance.random() < 0.3:
                    break
                inside = deeper
            inside[key] = new
        return value

    return st.builds(replaced, st.integers(0, 10**6), st.lists(JSON, max_size=6))


def check_it_can_be_stored(record: Record) -> None:
    wire = msgspec.json.encode(record)
    assert b"\\u0000" not in wire
    assert msgspec.json.decode(wire, type=Record) == record
    assert content_version(record) == record.content_version


@given(some_of(RFI_SHOW), st.booleans())
def test_an_rfi_is_translated_or_tried_later(value: dict[str, Any], full: bool) -> None:
    try:
        rfi = read_rfi(value, full=full)
    except TryLater:
        return
    record = translate_rfi(rfi, files_of("801"), {"9202": "ret_1"})
    check_it_can_be_stored(record)
    assert translate_rfi(rfi, files_of("801"), {"9202": "ret_1"}) == record


@given(some_of(SUBMITTAL_ITEM))
def test_a_submittal_is_translated_or_tried_later(value: dict[str, Any]) -> None:
    try:
        submittal = read_submittal(value)
    except TryLater:
        return
    record = translate_submittal(submittal, files_of("601"))
    check_it_can_be_stored(record)
    assert translate_submittal(submittal, files_of("601")) == record


@given(st.dictionaries(TEXT, JSON))
def test_any_object_is_a_record_or_tried_later(value: dict[str, Any]) -> None:
    for read in (lambda: read_rfi(value, full=True), lambda: read_submittal(value)):
        with pytest.raises(TryLater):
            read()


def shuffled(value: Any, chance: random.Random) -> Any:
    """The same JSON with the keys of its objects in another order."""
    if isinstance(value, list):
        return [shuffled(one, chance) for one in value]
    if not isinstance(value, dict):
        return value
    keys = chance.sample(list(value), len(value))
    return {key: shuffled(value[key], chance) for key in keys}


@given(st.integers(0, 10**6))
def test_the_order_of_keys_makes_no_other_version(seed: int) -> None:
    chance = random.Random(seed)
    fields = {f"custom_field_{n}": {"data_type": "string", "value": f"v{n}"} for n in range(6)}
    sample = RFI_SHOW | {"custom_fields": fields}
    other = translate_rfi(read_rfi(shuffled(sample, chance), full=True), {}, {})
    assert other.content_version == rfi_record(custom_fields=fields).content_version


@given(st.dictionaries(st.sampled_from(["guid", "instructions", "x_id", "permissions"]), JSON))
def test_a_field_that_nobody_sees_makes_no_other_version(unknown: dict[str, Any]) -> None:
    assert rfi_record(**unknown).content_version == rfi_record().content_version


def test_the_time_of_the_last_change_alone_makes_no_other_version() -> None:
    later = "2026-12-24T00:00:00Z"
    assert rfi_record(updated_at=later).content_version == rfi_record().content_version
    assert submittal_record(updated_at=later).content_version == submittal_record().content_version


RFI_CHANGES: list[dict[str, Any]] = [
    {"subject": "Other", "title": "Other"},
    {"status": "closed"},
    {"translated_status": "Offen"},
    {"full_number": "A-015"},
    {"revision": "2"},
    {"private": False},
    {"due_date": "2026-12-02"},
    {"initiated_at": "2026-11-21T16:00:00Z"},
    {"time_resolved": "2026-11-24T16:00:00Z"},
    {"ball_in_courts": [], "ball_in_court": None},
    {"rfi_manager": None},
    {"assignees": []},
    {"distribution_list": []},
    {"questions": []},
    {"specification_section": None},
    {"location": {"id": 62, "name": "Level 3"}},
    {"cost_impact": {"status": "no_impact", "value": None}},
    {"priority": {"name": "High", "value": 2}},
    {"custom_fields": {}},
    {"deleted": True},
    {"link": "https://us02.procore.com/elsewhere"},
]
SUBMITTAL_CHANGES: list[dict[str, Any]] = [
    {"title": "Other"},
    {"description": "Other"},
    {"status": {"id": 1, "name": "Open", "status": "Open"}},
    {"distributed_at": "2026-11-24T00:30:00Z", "status": {"name": "C", "status": "Closed"}},
    {"approvers": []},
    {"submittal_package": None},
    {"type": None},
    {"lead_time": 31},
    {"current_revision": False},
    {"associated_attachments": []},
]


@pytest.mark.parametrize("fields", RFI_CHANGES, ids="+".join)
def test_what_people_see_of_an_rfi_makes_another_version(fields: dict[str, Any]) -> None:
    assert rfi_record(**fields).content_version != rfi_record().content_version


@pytest.mark.parametrize("fields", SUBMITTAL_CHANGES, ids="+".join)
def test_what_people_see_of_a_submittal_makes_another_version(fields: dict[str, Any]) -> None:
    assert submittal_record(**fields).content_version != submittal_record().content_version


def test_files_that_arrived_make_another_version() -> None:
    assert rfi_record(files=("801",)).content_version != rfi_record().content_version


@pytest.mark.parametrize("fields", [{}, *RFI_CHANGES], ids=lambda fields: "+".join(fields) or "-")
def test_a_record_read_back_from_the_database_has_not_changed(fields: dict[str, Any]) -> None:
    record = rfi_record(files=("801", "803"), **fields)
    stored = msgspec.json.decode(msgspec.json.encode(record))
    assert changed_fields(stored, record) == []


class Executable(HTMLParser):
    """Collects what a browser would run, load or send."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in {"script", "style", "iframe", "object", "embed", "svg", "math", "form", "img",
                   "link", "meta", "base", "input", "video", "audio", "template"}:  # fmt: skip
            self.found.append(tag)
        for name, value in attrs:
            bare = re.sub(r"[\x00-\x20]", "", value or "").lower()  # as browsers read a scheme
            scheme = re.match("[a-z][a-z0-9+.-]*(?=:)", bare)
            if name.startswith("on") or name in {"style", "srcset", "src", "srcdoc", "formaction"}:
                self.found.append(name)
            if name == "href" and scheme and scheme[0] not in {"http", "https", "mailto"}:
                self.found.append(str(value))


PARTS = st.sampled_from([
    "<script>", "</script>", "<img src=x onerror=run()>", "<svg onload=run()>", "<a href='",
    "javascript:run()", "JaVa\tScRiPt:run()", "data:text/html,x", "'>", "<math>", "<style>",
    "<p onclick=run()>", "<iframe srcdoc='", "<template>", "<!--", "-->", "<noscript>", "&lt;",
    "&#106;avascript:", "<b style='background:url(x)'>", "text", "</b>", "<table><td>", '"', "\0",
    "<meta http-equiv=refresh>", "<![CDATA[", "]]>", "<form action=x><input name=y>",
])  # fmt: skip


@given(st.lists(PARTS | st.text(max_size=5), max_size=12).map("".join))
def test_nothing_that_could_run_survives(html: str) -> None:
    clean = sanitised(html.encode("utf-8", "ignore").decode())
    reader = Executable()
    reader.feed(clean)
    reader.close()
    assert reader.found == []
    assert sanitised(clean) == clean


def test_the_form_of_a_text_survives() -> None:
    html = (
        "<p>One <b>two</b></p><ul><li>x</li></ul><table><tbody><tr><td>1</td></tr></tbody></table>"
    )
    assert sanitised(html) == html


def test_a_text_without_end_is_cut_and_says_so() -> None:
    assert sanitised("x" * 1_500_000).endswith("(cut: too long)")
