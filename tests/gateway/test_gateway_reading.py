import base64
import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.notices import Part3Notice, ProcoreNotice
from webhook_gateway.part3 import Claim, is_authentic, read_claim, read_part3, secret_of
from webhook_gateway.procore import read_procore
from webhook_gateway.readings import Ignored, Unreadable
from webhook_gateway.strict_json import NotReadable, read_object

V2 = """{
  "id": 9007199254740993, "ulid": "01JE0000000000000000000002",
  "timestamp": "2026-11-24T08:15:30.123456Z",
  "metadata": {"source_user_id": 77, "source_project_id": 5, "source_operation_id": null,
               "source_company_id": 42, "source_application_id": null},
  "user_id": 77, "company_id": 42, "project_id": 90071992547409935, "api_version": "v2.0",
  "event_type": "update", "resource_name": "Submittals",
  "resource_id": 123456789012345678901234567890
}"""
V3 = json.dumps(
    json.loads(V2) | {"api_version": "v3.0", "related_resources": [{"id": 1, "name": "Line Items"}]}
)
V4 = json.dumps(
    {
        "id": "01JE0000000000000000000003",
        "timestamp": "2026-11-24T08:15:30Z",
        "reason": "create",
        "company_id": "42",
        "project_id": "5",
        "user_id": "77",
        "resource_type": "RFI Replies",
        "resource_id": "9",
    }
)
CLAIM = Claim(b"msg_1", b"1795000000", (b"d" * 32,))


def read(body: str | bytes | dict[str, Any]) -> ProcoreNotice | Unreadable | Ignored:
    if isinstance(body, dict):
        body = json.dumps(body)
    content = body.encode() if isinstance(body, str) else body
    return read_procore(content, project_id="project-1", generation=1)


def changed(**fields: Any) -> dict[str, Any]:
    return json.loads(V4) | fields  # type: ignore[no-any-return]


def test_payload_v2_is_read_with_its_numbers_as_they_were_written() -> None:
    assert read(V2) == ProcoreNotice(
        project_id="project-1",
        generation=1,
        notice_id="01JE0000000000000000000002",
        resource="submittal",
        record_id="123456789012345678901234567890",
        reason="update",
        procore_company_id="42",
        procore_project_id="90071992547409935",
        procore_user_id="77",
        occurred_at=datetime(2026, 11, 24, 8, 15, 30, 123456, UTC),
    )


def test_payload_v3_is_read_like_v2() -> None:
    third = read(V3)
    assert isinstance(third, ProcoreNotice)
    assert third.resource == "submittal"


def test_payload_v4_is_read() -> None:
    fourth = read(V4)
    assert isinstance(fourth, ProcoreNotice)
    assert (fourth.resource, fourth.record_id, fourth.reason) == ("rfi_reply", "9", "create")
    assert fourth.procore_company_id == "42"


@pytest.mark.parametrize(
    "fields",
    [
        {"api_version": "v9.0"},
        {"data": {"anything": [1, 2.5, None, {"deep": True}]}},
        {"reason": "archived", "related_resources": []},
        {"extra": 1e400},
    ],
)
def test_what_is_new_in_a_payload_is_no_hindrance(fields: dict[str, Any]) -> None:
    body = json.dumps(changed(**fields)).replace("Infinity", "1e400")
    assert isinstance(read(body), ProcoreNotice)


@pytest.mark.parametrize(
    ("written", "expected"),
    [("7", "7"), ('"7"', "7"), ("9007199254740993", "9007199254740993"), ("9" * 40, "9" * 40)],
)
def test_an_id_is_text_exactly_as_it_was_written(written: str, expected: str) -> None:
    notice = read(V4.replace('"resource_id": "9"', f'"resource_id": {written}'))
    assert isinstance(notice, ProcoreNotice)
    assert notice.record_id == expected
    assert msgspec.json.decode(msgspec.json.encode(notice), type=ProcoreNotice) == notice


@pytest.mark.parametrize(
    "written",
    [
        *("-0", "0", "-7", "1.0", "1e400", "1E2", "9" * 41, "9" * 10_000, "true", "null", "[7]"),
        *('""', '"0"', '"-0"', '"1.0"', '"07"', '" 7"', '"7\\n"', '"7/../8"', '"7 OR 1=1"'),
        *('"\\u0667"', '"__proto__"', '"{{7*7}}"', '"\\ud800"', "{}"),
    ],
)
@pytest.mark.parametrize("name", ["resource_id", "project_id"])
def test_an_id_that_is_none_cannot_be_read(name: str, written: str) -> None:
    fields = json.loads(V4)
    del fields[name]
    body = json.dumps(fields)[:-1] + f', "{name}": {written}}}'
    assert isinstance(read(body), Unreadable)


@pytest.mark.parametrize(
    ("body", "cause"),
    [
        (b"", "not_json"),
        (b"   ", "not_json"),
        (b"null", "not_an_object"),
        (b"[]", "not_an_object"),
        (b'"x"', "not_an_object"),
        (b"0", "not_an_object"),
        (b"\xef\xbb\xbf{}", "not_json"),
        ("{}".encode("utf-16"), "not_utf8"),
        (b'{"a": "\xff"}', "not_utf8"),
        (b'{"a": "\xed\xa0\x80"}', "not_utf8"),
        (V4[:-1].encode(), "not_json"),
        (V4.encode() + b"x", "not_json"),
        (V4.encode() * 2, "not_json"),
        (b"// comment\n{}", "not_json"),
        (b"{'a': 1}", "not_json"),
        (b'{"a": NaN}', "not_json"),
        (b'{"a": -Infinity}', "not_json"),
        (b'{"a": 01}', "not_json"),
        (b'{"a": "tab\there"}', "not_json"),
        (b"[" * 100_000, "too_many_parts"),
        (b'{"a":' * 1_000 + b"1" + b"}" * 1_000, "too_deep"),
        (b'{"a": [' + b"1," * 100_000 + b"1]}", "too_many_parts"),
        (V4.replace("{", '{"resource_id": "1",', 1).encode(), "duplicate_key"),
        (b'{"a": {"b": 1, "b": 2}}', "duplicate_key"),
        (b"{}", "no_resource"),
        (b'{"resource_type": 7}', "no_resource"),
    ],
    ids=lambda value: value if isinstance(value, str) else repr(value[:20]),
)
def test_a_body_that_cannot_be_read_says_why_in_a_word(body: bytes, cause: str) -> None:
    assert read(body) == Unreadable(cause)


def test_brackets_in_texts_are_no_depth() -> None:
    assert isinstance(read(changed(data='\\"' + "[{" * 1_000)), ProcoreNotice)


def test_the_unknown_resource_is_ignored_whatever_else_is_in_it() -> None:
    assert read(changed(resource_type="Punch Items", resource_id=None)) == Ignored()


def test_an_event_without_an_id_is_named_after_its_bytes() -> None:
    fields = json.loads(V4)
    del fields["id"]
    first, again, other = read(fields), read(fields), read(fields | {"resource_id": "10"})
    assert isinstance(first, ProcoreNotice)
    assert isinstance(other, ProcoreNotice)
    assert first == again
    assert first.notice_id.startswith("body-")
    assert other.notice_id != first.notice_id


@pytest.mark.parametrize(
    "timestamp",
    [None, 7, "", "yesterday", "2026-11-24", "2026-11-24T08:15:30", "9999-12-31T23:59:59-12:00"],
)
def test_a_time_that_cannot_be_read_is_none(timestamp: object) -> None:
    notice = read(changed(timestamp=timestamp))
    assert isinstance(notice, ProcoreNotice)
    assert notice.occurred_at is None


def test_an_event_of_part3_with_an_unreadable_time_has_the_time_of_its_signature() -> None:
    body = {"type": "member.changed", "timestamp": "?", "data": {"project_id": "p", "user_id": "u"}}
    notice = read_part3(json.dumps(body).encode(), CLAIM)
    assert isinstance(notice, Part3Notice)
    assert notice.occurred_at == datetime.fromtimestamp(1_795_000_000, UTC)


@pytest.mark.parametrize(
    ("body", "cause"),
    [
        ({"timestamp": "2026-11-24T08:15:30Z", "data": {"project_id": "p"}}, "no_type"),
        ({"type": 1, "data": {"project_id": "p"}}, "bad_type"),
        ({"type": "record.changed"}, "no_data"),
        ({"type": "record.changed", "data": []}, "no_data"),
        ({"type": "record.changed", "data": {}}, "no_project_id"),
        ({"type": "record.changed", "data": {"project_id": ""}}, "bad_project_id"),
        ({"type": "record.changed", "data": {"project_id": 7}}, "bad_project_id"),
        ({"type": "record.changed", "data": {"project_id": "p\u0000"}}, "bad_project_id"),
        ({"type": "record.changed", "data": {"project_id": "p", "kind": ["rfi"]}}, "bad_kind"),
        ({"type": "x.y", "data": {}}, "no_project_id"),
    ],
)
def test_an_event_of_part3_that_cannot_be_read_says_why(body: dict[str, Any], cause: str) -> None:
    assert read_part3(json.dumps(body).encode(), CLAIM) == Unreadable(cause)


# What holds of all values.

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)
FIELDS = [*json.loads(V2), *json.loads(V4)]
NOTICE_READER = msgspec.json.Decoder(ProcoreNotice)


@given(st.binary())
def test_reading_any_bytes_gives_a_value(body: bytes) -> None:
    assert isinstance(read(body), Unreadable)
    assert isinstance(read_part3(body, CLAIM), Unreadable)


@given(st.dictionaries(st.sampled_from(FIELDS), json_values))
def test_reading_any_object_gives_a_value_that_can_be_written(fields: dict[str, Any]) -> None:
    for base in (V4, V2, "{}"):
        reading = read(json.loads(base) | fields)
        assert isinstance(reading, ProcoreNotice | Unreadable | Ignored)
        if isinstance(reading, ProcoreNotice):
            assert NOTICE_READER.decode(msgspec.json.encode(reading)) == reading


@given(
    st.dictionaries(st.sampled_from(["type", "timestamp", "data"]), json_values),
    st.dictionaries(
        st.sampled_from(["project_id", "kind", "procore_id", "return_id", "user_id"]), json_values
    ),
)
def test_reading_any_event_of_part3_gives_a_value_that_can_be_written(
    fields: dict[str, Any], data: dict[str, Any]
) -> None:
    base: dict[str, Any] = {"type": "return.created", "data": {"project_id": "p"} | data}
    reading = read_part3(json.dumps(base | fields).encode(), CLAIM)
    assert isinstance(reading, Part3Notice | Unreadable | Ignored)
    if isinstance(reading, Part3Notice):
        again = msgspec.json.decode(msgspec.json.encode(reading), type=Part3Notice)
        assert again == reading


@given(json_values)
def test_what_we_read_is_what_the_standard_library_reads(value: Any) -> None:
    body = json.dumps({"value": value}, allow_nan=True)
    try:
        ours = read_object(body.encode("utf-8", "surrogatepass"))
    except NotReadable:
        assert "NaN" in body or "Infinity" in body or body.count("[") + body.count("{") > 32
    else:
        assert _same(ours["value"], json.loads(body)["value"])


def _same(ours: Any, theirs: Any) -> bool:
    if isinstance(theirs, dict):
        return ours.keys() == theirs.keys() and all(_same(ours[k], theirs[k]) for k in theirs)
    if isinstance(theirs, list):
        return len(ours) == len(theirs) and all(map(_same, ours, theirs))
    if isinstance(theirs, int | float) and not isinstance(theirs, bool):
        return float(ours) == float(theirs)
    return bool(ours == theirs)


@given(st.lists(st.binary()), st.lists(st.binary()), st.lists(st.binary()), st.binary())
def test_no_claim_without_a_signature_is_authentic(
    ids: list[bytes], timestamps: list[bytes], signatures: list[bytes], body: bytes
) -> None:
    claim = read_claim(ids, timestamps, signatures, now=1_795_000_000)
    if claim is not None:
        assert not is_authentic(claim, body, [b"k" * 24])


@pytest.mark.parametrize(
    "text",
    ["", "whsec_", "YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4", "whsec_%%%", "whsec_YWJj", "WHSEC_YWJj"],
)
def test_a_secret_that_is_none_is_a_fault(text: str) -> None:
    with pytest.raises(ValueError, match=r"must|base64"):
        secret_of(text)


@pytest.mark.parametrize("length", [16, 24, 32, 64])
def test_a_secret_is_read_with_and_without_padding(length: int) -> None:
    key = bytes(range(length))
    text = "whsec_" + base64.b64encode(key).decode()
    assert secret_of(text) == secret_of(text.rstrip("=")) == key
