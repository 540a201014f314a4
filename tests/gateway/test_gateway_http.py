"""The gateway over raw sockets: rows 3-48 of the list of bad inputs, without a Kafka."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from schemas.notices import DEAD_LETTERS, PART3_NOTICES, PROCORE_NOTICES
from services.hook_secrets import hook_secret
from services.settings import Key
from tests.gateway.stage import (
    HOST,
    KEYS,
    NOW,
    PART3_SECRETS,
    V4,
    Stage,
    part3,
    procore,
    signed,
    stage,
)
from tests.http_server.raw import Answers, answers_of, until_closed

EVENT = {
    "type": "return.created",
    "timestamp": "2026-11-24T08:15:30Z",
    "data": {"project_id": "project-1", "kind": "rfi", "procore_id": "12", "return_id": "ret-1"},
}


@pytest_asyncio.fixture
async def gateway() -> AsyncIterator[Stage]:
    async with stage() as running:
        yield running


def assert_generic(answers: Answers, error: str) -> None:
    assert json.loads(answers.body).keys() == {"error", "request_id"}
    assert json.loads(answers.body)["error"] == error
    assert b"cache-control: no-store" in answers.head
    assert b"server:" not in answers.head


# What a good delivery becomes.


async def test_a_delivery_becomes_a_notice_under_its_part3_project(gateway: Stage) -> None:
    trace = b"00-" + b"ab" * 16 + b"-" + b"cd" * 8 + b"-01"
    answers = await gateway.send(procore(V4, b"traceparent: " + trace))
    assert answers.statuses == [204]
    assert answers.body == b""
    [record] = gateway.kafka.written
    assert (record.topic, record.key) == (PROCORE_NOTICES, b"project-1")
    assert record.json == {
        "project_id": "project-1",
        "generation": 3,
        "notice_id": "01JE0000000000000000000001",
        "resource": "rfi",
        "record_id": "12345",
        "reason": "update",
        "procore_company_id": "4264100",
        "procore_project_id": "9007199254740993",
        "procore_user_id": "77",
        "occurred_at": "2026-11-24T08:15:30.123456Z",
    }
    assert record.headers | {"ce_time": b""} == {
        "ce_specversion": b"1.0",
        "ce_id": b"01JE0000000000000000000001",
        "ce_source": b"/procore/project-1/3",
        "ce_type": b"procore.rfi.update",
        "ce_time": b"",
        "content-type": b"application/json",
        "traceparent": trace,
    }
    assert gateway.count("procore", "published") == 1


async def test_an_event_of_part3_becomes_a_notice(gateway: Stage) -> None:
    answers = await gateway.send(part3(EVENT))
    assert answers.statuses == [202]
    [record] = gateway.kafka.written
    assert (record.topic, record.key) == (PART3_NOTICES, b"project-1")
    assert record.json == {
        "project_id": "project-1",
        "notice_id": "msg_1",
        "type": "return.created",
        "occurred_at": "2026-11-24T08:15:30Z",
        "kind": "rfi",
        "procore_id": "12",
        "return_id": "ret-1",
        "user_id": None,
    }
    assert record.headers["ce_type"] == b"part3.return.created"
    assert len(record.headers["traceparent"]) == 55  # a new trace begins here


async def test_a_project_id_is_percent_encoded_in_the_path_and_plain_in_the_secret(
    gateway: Stage,
) -> None:
    secret = hook_secret(KEYS.first.secret, "Bärn/7", 1).encode()
    request = procore(V4, path=b"/procore/B%C3%A4rn%2F7/1", authorization=secret)
    assert (await gateway.send(request)).statuses == [204]
    assert gateway.kafka.written[0].key == "Bärn/7".encode()


async def test_while_kafka_is_away_the_sender_is_told_to_try_again(gateway: Stage) -> None:
    gateway.kafka.away = True
    for request in (procore(V4), part3(EVENT), procore(b"not json")):
        answers = await gateway.send(request)
        assert answers.statuses == [503]
        assert_generic(answers, "unavailable")
    gateway.kafka.away = False
    assert (await gateway.send(procore(V4))).statuses == [204]


async def test_what_is_not_mirrored_is_answered_well_and_goes_nowhere(gateway: Stage) -> None:
    assert (await gateway.send(procore(V4 | {"resource_type": "Punch Items"}))).statuses == [204]
    assert (await gateway.send(part3(EVENT | {"type": "comment.added"}))).statuses == [202]
    assert gateway.kafka.written == []
    assert gateway.count("procore", "ignored") == gateway.count("part3", "ignored") == 1


# Transport.


async def test_a_dribbled_body_is_ended_after_its_deadline(gateway: Stage) -> None:
    request = procore(b"", length=100)
    answers = await until_closed(gateway.port, request, *[b"{"] * 30, pause_s=0.05)
    assert answers.statuses == [408]
    assert_generic(answers, "timeout")
    assert gateway.kafka.written == []


async def test_a_client_that_is_asked_for_the_body_and_sends_none_is_ended(gateway: Stage) -> None:
    answers = await until_closed(gateway.port, procore(b"", b"Expect: 100-continue", length=9))
    assert answers.data.startswith(b"HTTP/1.1 100 Continue")
    assert answers.statuses == [100, 408]


async def test_a_stranger_is_refused_before_the_body_is_asked_for(gateway: Stage) -> None:
    request = procore(b"", b"Expect: 100-continue", authorization=b"Bearer no", length=10 * 2**30)
    answers = await until_closed(gateway.port, request)
    assert answers.statuses == [401]
    assert b"connection: close" in answers.head


async def test_an_announced_10_gib_of_a_known_sender_is_buried_after_256_kib(
    gateway: Stage,
) -> None:
    request = procore(b"", length=10 * 2**30)
    answers = await until_closed(gateway.port, request, *[b"x" * 65_536] * 5)
    assert answers.statuses == [204]
    assert b"connection: close" in answers.head
    [letter] = gateway.kafka.written
    assert (letter.topic, letter.key) == (DEAD_LETTERS, b"project-1")
    assert letter.value == b"x" * 262_144
    assert letter.headers["dead_letter_cause"] == b"too_large"


async def test_an_endless_chunked_body_is_buried_after_256_kib(gateway: Stage) -> None:
    head = procore(b"").replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
    chunks = [b"10000\r\n" + b"x" * 65_536 + b"\r\n"] * 5
    answers = await until_closed(gateway.port, head, *chunks)
    assert answers.statuses == [204]
    assert len(gateway.kafka.written[0].value) == 262_144


async def test_a_body_of_exactly_256_kib_is_read(gateway: Stage) -> None:
    body = json.dumps(V4 | {"data": ""}).encode()
    body = body.replace(b'"data": ""', b'"data": "' + b"x" * (262_144 - len(body)) + b'"')
    assert len(body) == 262_144
    assert (await gateway.send(procore(body))).statuses == [204]
    assert gateway.kafka.written[0].topic == PROCORE_NOTICES


@pytest.mark.parametrize("coding", [b"gzip", b"br", b"zstd", b"deflate", b"gzip, identity", b"x"])
async def test_a_coded_body_is_never_decoded(gateway: Stage, coding: bytes) -> None:
    answers = await gateway.send(procore(b"\x1f\x8bbomb", b"Content-Encoding: " + coding))
    assert answers.statuses == [204]
    [letter] = gateway.kafka.written
    assert (letter.topic, letter.value) == (DEAD_LETTERS, b"\x1f\x8bbomb")
    assert letter.headers["dead_letter_cause"] == b"content_encoding"
    assert letter.headers["content-encoding"] == coding
    forged = procore(b"\x1f\x8bbomb", b"Content-Encoding: " + coding, authorization=b"Bearer no")
    assert (await gateway.send(forged)).statuses == [401]


async def test_a_body_said_to_be_uncoded_is_read(gateway: Stage) -> None:
    assert (await gateway.send(procore(V4, b"Content-Encoding: identity"))).statuses == [204]
    assert gateway.kafka.written[0].topic == PROCORE_NOTICES


async def test_part3_may_send_neither_coded_nor_large_bodies(gateway: Stage) -> None:
    coded = await gateway.send(part3(b"\x1f\x8b", signed(b"\x1f\x8b".decode("latin-1").encode())))
    assert coded.statuses == [401]
    authentic = part3(b"{}", None, b"Content-Encoding: gzip")
    assert (await gateway.send(authentic)).statuses == [415]
    forged = part3(b"{}", signed(b"[]"), b"Content-Encoding: gzip")
    assert (await gateway.send(forged)).statuses == [401]
    large = await until_closed(gateway.port, part3(b"x" * 262_145))
    assert large.statuses == [413]
    assert_generic(large, "too_large")
    assert gateway.kafka.written == []


@pytest.mark.parametrize("path", [b"/procore/project-1/3", b"/part3/events"])
async def test_a_probe_is_greeted_and_other_methods_are_not_allowed(
    gateway: Stage, path: bytes
) -> None:
    head = await gateway.send(b"HEAD %b HTTP/1.1\r\n%b\r\n" % (path, HOST))
    assert (head.statuses, head.body) == ([200], b"")
    for method in (b"GET", b"PUT", b"DELETE", b"PATCH", b"OPTIONS", b"TRACE"):
        answers = await gateway.send(b"%b %b HTTP/1.1\r\n%b\r\n" % (method, path, HOST))
        assert answers.statuses == [405]
        assert b"allow: post, head" in answers.head


@pytest.mark.parametrize(
    "path",
    [
        b"/",
        b"/procore",
        b"/procore/",
        b"/procore/project-1",
        b"/procore/project-1/",
        b"/procore/project-1/0",
        b"/procore/project-1/03",
        b"/procore/project-1/-3",
        b"/procore/project-1/3/",
        b"/procore/project-1/3/4",
        b"/procore/project-1/99999999999999999999",
        b"/procore//3",
        b"//procore/project-1/3",
        b"/procore/../3",
        b"/procore/%2e%2e/3",
        b"/procore/project-1%00/3",
        b"/procore/project-1%0d%0a/3",
        b"/procore/%c0%af/3",
        b"/procore/%ff/3",
        b"/procore/%zz/3",
        b"/procore/%/3",
        b"/procore/" + b"p" * 8_192 + b"/3",
        b"/part3/events/",
        b"/part3/%65vents",
        b"/part3/../part3/events",
        b"/metrics",
    ],
)
async def test_any_other_path_is_not_found(gateway: Stage, path: bytes) -> None:
    answers = await gateway.send(procore(V4, path=path))
    assert answers.statuses == [404]
    assert_generic(answers, "not_found")
    assert gateway.kafka.written == []


async def test_the_query_of_a_hook_is_nothing_to_us(gateway: Stage) -> None:
    request = procore(V4, path=b"/procore/project-1/3?utm=1")
    assert (await gateway.send(request)).statuses == [204]


async def test_nothing_forwarded_by_others_is_believed(gateway: Stage) -> None:
    forged = [
        b"X-Forwarded-For: 127.0.0.1",
        b"X-Forwarded-Host: evil.test",
        b"Forwarded: for=127.0.0.1;host=evil.test",
        b"X-Real-IP: 127.0.0.1",
        b"X-Original-URL: /procore/other/1",
    ]
    assert (await gateway.send(procore(V4, *forged))).statuses == [204]
    [record] = gateway.kafka.written
    assert record.key == b"project-1"
    assert b"evil" not in record.value + b"".join(record.headers.values())


async def test_pipelined_deliveries_do_not_mix(gateway: Stage) -> None:
    requests = [procore(V4 | {"resource_id": str(number)}) for number in range(1, 301)]
    requests.insert(100, procore(V4, authorization=b"Bearer no"))
    answers = await answers_of(gateway.port, 301, *requests)
    assert answers.statuses == [204] * 100 + [401] + [204] * 200
    assert [record.json["record_id"] for record in gateway.kafka.written] == [
        str(number) for number in range(1, 301)
    ]


# Authenticity.


GOOD = hook_secret(KEYS.first.secret, "project-1", 3).encode()


@pytest.mark.parametrize(
    "authorization",
    [
        b"",
        b"Bearer",
        b"Bearer ",
        GOOD[:-1],
        GOOD + b"x",
        GOOD + b"  ",
        GOOD + b"\t",
        GOOD + b"=",
        GOOD[:-1] + b"_",
        GOOD.lower(),
        GOOD.removeprefix(b"Bearer "),
        GOOD.replace(b"Bearer", b"bearer"),
        GOOD.replace(b"Bearer ", b"Bearer  "),
        GOOD.replace(b"Bearer", b"Basic"),
        GOOD + b", " + GOOD,
        b"Bearer " + b"x" * 8_000,
        hook_secret(KEYS.first.secret, "project-2", 3).encode(),
        hook_secret(KEYS.first.secret, "project-1", 4).encode(),
        hook_secret(b"retired" * 5, "project-1", 3).encode(),
    ],
)
async def test_a_wrong_secret_is_refused(gateway: Stage, authorization: bytes) -> None:
    answers = await gateway.send(procore(V4, authorization=authorization))
    assert answers.statuses == [401]
    assert_generic(answers, "unauthorized")
    assert b"www-authenticate" not in answers.head
    assert gateway.kafka.written == []
    assert gateway.count("procore", "unauthentic") == 1


async def test_the_secret_of_an_older_key_is_good_while_it_is_in_the_ring(gateway: Stage) -> None:
    old = hook_secret(KEYS.keys[1].secret, "project-1", 3).encode()
    assert (await gateway.send(procore(V4, authorization=old))).statuses == [204]


async def test_no_secret_and_two_secrets_are_refused(gateway: Stage) -> None:
    without = procore(V4).replace(b"Authorization: " + GOOD + b"\r\n", b"")
    assert (await gateway.send(without)).statuses == [401]
    twice = procore(V4, b"Authorization: " + GOOD)
    assert (await gateway.send(twice)).statuses == [401]


async def test_a_secret_beyond_every_measure_is_refused(gateway: Stage) -> None:
    answers = await until_closed(gateway.port, procore(V4, authorization=b"x" * 2**20))
    assert answers.statuses == [431]


async def test_an_unknown_hook_is_refused_like_a_wrong_secret(gateway: Stage) -> None:
    unknown = await gateway.send(procore(V4, path=b"/procore/nobody/9"))
    wrong = await gateway.send(procore(V4, authorization=b"Bearer no"))
    assert unknown.statuses == wrong.statuses == [401]
    strip = [answers.head.split(b"\r\n")[2:] for answers in (unknown, wrong)]
    assert strip[0] == strip[1]  # the first two lines are the status and the date


def tampered(**changes: str) -> bytes:
    body = json.dumps(EVENT).encode()
    return part3(body, signed(body) | changes)


SIGNATURE = signed(json.dumps(EVENT).encode())["webhook-signature"]


@pytest.mark.parametrize(
    "request_bytes",
    [
        part3(EVENT, {}),
        part3(EVENT, {"webhook-id": "msg_1", "webhook-timestamp": str(NOW)}),
        part3(EVENT, {"webhook-id": "msg_1", "webhook-signature": SIGNATURE}),
        part3(EVENT, {"webhook-timestamp": str(NOW), "webhook-signature": SIGNATURE}),
        part3(json.dumps(EVENT, indent=1).encode(), signed(json.dumps(EVENT).encode())),
        part3(EVENT, signed(json.dumps(EVENT).encode(), secret="whsec_" + "YWJj" * 8)),
        part3(EVENT, None, b"webhook-id: msg_2"),
        tampered(**{"webhook-id": "msg_2"}),
        tampered(**{"webhook-id": ""}),
        tampered(**{"webhook-timestamp": str(NOW + 1)}),
        tampered(**{"webhook-signature": "v1,"}),
        tampered(**{"webhook-signature": "v1"}),
        tampered(**{"webhook-signature": SIGNATURE.replace("v1,", "v1a,")}),
        tampered(**{"webhook-signature": SIGNATURE.replace("v1,", "v2,")}),
        tampered(**{"webhook-signature": "v1,!!!garbage"}),
        tampered(**{"webhook-signature": SIGNATURE[:-4]}),
        tampered(**{"webhook-signature": "v1," + "A" * 43 + "="}),
        tampered(**{"webhook-signature": " ".join(["v1," + "A" * 43 + "="] * 49 + [SIGNATURE])}),
    ],
)
async def test_an_event_that_part3_did_not_sign_so_is_refused(
    gateway: Stage, request_bytes: bytes
) -> None:
    answers = await gateway.send(request_bytes)
    assert answers.statuses == [401]
    assert_generic(answers, "unauthorized")
    assert gateway.kafka.written == []


@pytest.mark.parametrize("sent_at", [NOW - 301, NOW + 301, 0, 1])
async def test_an_event_signed_more_than_five_minutes_off_is_refused(
    gateway: Stage, sent_at: int
) -> None:
    body = json.dumps(EVENT).encode()
    assert (await gateway.send(part3(body, signed(body, sent_at=sent_at)))).statuses == [401]


@pytest.mark.parametrize("sent_at", [NOW - 300, NOW + 300])
async def test_an_event_signed_up_to_five_minutes_off_is_taken(
    gateway: Stage, sent_at: int
) -> None:
    body = json.dumps(EVENT).encode()
    assert (await gateway.send(part3(body, signed(body, sent_at=sent_at)))).statuses == [202]


@pytest.mark.parametrize("timestamp", ["-1", "1e30", "NaN", f"{NOW}.0", f"+{NOW}", "9" * 30, "٣"])
async def test_a_timestamp_that_is_none_is_refused(gateway: Stage, timestamp: str) -> None:
    answers = await gateway.send(tampered(**{"webhook-timestamp": timestamp}))
    assert answers.statuses in ([401], [400])  # 400 for what HTTP does not allow in a header


async def test_a_signature_by_any_secret_and_beside_others_is_good(gateway: Stage) -> None:
    body = json.dumps(EVENT).encode()
    by_second = signed(body, secret=PART3_SECRETS[1])
    by_second["webhook-signature"] = "v1a,abcd v1,AAAA " + by_second["webhook-signature"]
    assert (await gateway.send(part3(body, by_second))).statuses == [202]


async def test_a_delivery_repeated_is_a_notice_repeated_under_one_id(gateway: Stage) -> None:
    for _ in range(20):
        assert (await gateway.send(procore(V4))).statuses == [204]
        assert (await gateway.send(part3(EVENT))).statuses == [202]
    ids = {record.json["notice_id"] for record in gateway.kafka.written}
    assert len(gateway.kafka.written) == 40
    assert ids == {V4["id"], "msg_1"}


# Content.


@pytest.mark.parametrize("body", [b"", b"null", b"{", b"\xff\xfe{\x00}\x00", b"[" * 100_000])
async def test_an_authentic_body_that_cannot_be_read_is_buried_as_it_was(
    gateway: Stage, body: bytes
) -> None:
    assert (await gateway.send(procore(body))).statuses == [204]
    headers = signed(b"") if not body else None
    if body.isascii():
        assert (await gateway.send(part3(body, headers))).statuses == [202]
    for letter in gateway.kafka.written:
        assert letter.topic == DEAD_LETTERS
        assert letter.value == body
        assert letter.headers["dead_letter_cause"]
        assert letter.headers["ce_specversion"] == b"1.0"
    assert gateway.kafka.written[0].headers["ce_source"] == b"/procore/project-1/3"
    assert (await gateway.send(procore(V4))).statuses == [204]  # and the next one flows


async def test_a_body_about_another_procore_project_keeps_its_own_ids(gateway: Stage) -> None:
    assert (await gateway.send(procore(V4 | {"project_id": "666"}))).statuses == [204]
    [record] = gateway.kafka.written
    assert record.key == b"project-1"  # whose worker compares, and does nothing
    assert record.json["procore_project_id"] == "666"


async def test_a_sender_that_hangs_up_is_no_fault(gateway: Stage) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(procore(b"{", length=100))
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    async with asyncio.timeout(5):
        while not gateway.count("procore", "gone"):
            await asyncio.sleep(0.02)
    assert gateway.kafka.written == []


async def test_readiness_follows_kafka_and_liveness_does_not(gateway: Stage) -> None:
    gateway.kafka.away = True
    ready = await gateway.send(b"GET /readyz HTTP/1.1\r\n" + HOST + b"\r\n")
    assert ready.statuses == [503]
    assert json.loads(ready.body)["checks"] == {"kafka": {"ok": False, "reason": "Kafka is away"}}
    assert (await gateway.send(b"GET /livez HTTP/1.1\r\n" + HOST + b"\r\n")).statuses == [200]
    gateway.kafka.away = False
    assert (await gateway.send(b"GET /readyz HTTP/1.1\r\n" + HOST + b"\r\n")).statuses == [200]


def test_a_key_shows_itself_nowhere() -> None:
    assert "secret" not in repr(Key("id", b"secret"))
