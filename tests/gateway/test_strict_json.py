"""The quick way of reading a body and the strict one agree on everything the quick one reads."""

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from webhook_gateway import strict_json
from webhook_gateway.strict_json import NotReadable, read_object

TEXTS = st.text(max_size=12)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)
OBJECTS = st.dictionaries(TEXTS, VALUES, max_size=8)
PIECES = st.sampled_from(
    [b"{", b"}", b"[", b"]", b",", b":", b'"a"', b'"b"', b'"', b"\\", b"1", b"-0", b"1.0", b"null",
     b"true", b"NaN", b" ", b"\t", b"\x00", b"\xc3\xa9", b"\xff", b"\xed\xa0\x80", b"\xef\xbb\xbf"]
)  # fmt: skip


def strictly(body: bytes, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any] | str:
    with monkeypatch.context() as patched:
        patched.setattr(strict_json, "_read_plain", lambda _body: None)
        try:
            return read_object(body)
        except NotReadable as error:
            return error.cause


def agrees(body: bytes) -> bool:
    """Whether both agree; a body that the quick way leaves to the strict one counts as agreed."""
    quick = strict_json._read_plain(body)
    with pytest.MonkeyPatch.context() as patched:
        strict = strictly(body, patched)
    return quick is None or quick == strict


@given(OBJECTS, st.booleans(), st.sampled_from([None, 1]))
def test_objects_are_read_alike(value: dict[str, Any], escaped: bool, indent: int | None) -> None:
    assert agrees(json.dumps(value, ensure_ascii=escaped, indent=indent).encode())


@settings(max_examples=400)
@given(st.lists(PIECES, max_size=14).map(b"".join))
@example(b'{"a":"1","a":"2"}')
@example(b'{"a":{"b":null,"b":null}}')
@example(b'{"a":":","a":""}')
@example(b'{"a":"\xed\xa0\x80"}')
def test_whatever_is_sent_is_read_alike(body: bytes) -> None:
    assert agrees(b"{" + body + b"}")
    assert agrees(body)


@pytest.mark.parametrize(
    "body", [b'{"a":"1","a":"2"}', b'{"a":[{"b":true,"b":true}]}', b'{"a":"1","a":null}']
)
def test_a_key_that_comes_twice_is_found_the_quick_way_too(body: bytes) -> None:
    with pytest.raises(NotReadable, match="duplicate_key"):
        read_object(body)


def test_an_ordinary_delivery_is_read_the_quick_way() -> None:
    body = b'{"id":"01JE","reason":"update","related":[{"id":"12"}],"user_id":null,"more":{}}'
    assert strict_json._read_plain(body) == json.loads(body)
