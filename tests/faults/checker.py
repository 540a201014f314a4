"""What must hold after every scenario: the invariants I1 to I7, from both sides' ledgers.

Truth is what the stand-ins did and Kafka holds; what our own tables say is compared with it.
"""

import json
import re
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from schemas.notices import DEAD_LETTERS, PART3_NOTICES, PROCORE_NOTICES
from services.kafka import read_all
from sync_worker.outbound.marker import carries
from tests.faults.lab import Lab
from tests.faults.offsets import Offsets
from tests.faults.workload import Answer, Work

CHANGE = re.compile(r", change (\d+)$")
OUR_RESOURCES = ("RFIs", "RFI Replies", "Submittals")


async def until_quiet(lab: Lab, offsets: Offsets) -> None:
    """Wait until nothing is on its way any more, on either side or between them."""
    site = lab.site
    busy = ""

    async def quiet() -> bool:
        nonlocal busy
        for url, name in (
            (site.stack.procore, "deliveries_waiting"),
            (site.stack.part3, "events_waiting"),
        ):
            health = (await site.http.get(f"{url}/_sandbox/health")).json()
            if health[name]:
                busy = f"{health[name]} {name} at {url}"
                return False
        due = (
            "SELECT procore_id AS id, reason FROM mirror.looks UNION ALL"
            " SELECT return_id, reason FROM mirror.deliveries"
            " WHERE due_at IS NOT NULL AND state <> 'held' LIMIT 3"
        )
        if found := await site.rows(due):
            busy = f"due: {[dict(row) for row in found]}"
            return False
        busy = f"{await offsets.behind()} records behind the committed offsets"
        return busy.startswith("0 ")

    try:
        await site.until("nothing is on its way", quiet)
    except AssertionError as error:
        raise AssertionError(f"{busy}: {error}") from None


@dataclass(frozen=True, slots=True)
class Truth:
    """Everything the check compares, read once."""

    procore: dict[str, list[dict[str, Any]]]
    part3: list[dict[str, Any]]
    intents: dict[str, dict[str, Any]]  # by return id
    published: frozenset[str]  # ids of notices and dead letters in Kafka
    kafka_bytes: bytes


async def check(work: Work, offsets: Offsets) -> list[str]:
    """Return every violation, each with the name of its invariant; empty when all hold."""
    lab = work.lab
    truth = await _truth(lab)
    wrong = [
        *_every_accepted_event_is_in_kafka(truth),
        *await _records_are_equal(work),
        *await _returns_arrived_once(work, truth),
        *_records_were_made_once(truth),
        *_never_older(work, truth),
        *_nobody_wrote_for_another(lab, truth),
        *(f"I5 an offset went back: {one}" for one in offsets.went_back),
        *await _no_secret_is_outside(lab, truth),
        *await _everything_is_explained(work),
    ]
    ours = [truth.intents.get(answer.return_id) for answer in work.answers]
    lab.reached["sent twice"] += sum(one["sends"] > 1 for one in ours if one)
    lab.history.note("check", "invariants", wrong=wrong, records=len(work.items))
    return wrong


async def _truth(lab: Lab) -> Truth:
    rows = await lab.site.rows(
        "SELECT return_id, marker, state, sends, remote_id FROM mirror.write_intents"
    )
    content = await remember_published(lab)
    return Truth(
        procore=await lab.site.procore_ledger(),
        part3=await lab.site.part3_ledger(),
        intents={row["return_id"]: dict(row) for row in rows},
        published=frozenset(lab.published),
        kafka_bytes=content,
    )


async def remember_published(lab: Lab) -> bytes:
    """Note the ids of all that Kafka holds now, and return its bytes."""
    content = bytearray()
    for topic in (PROCORE_NOTICES, PART3_NOTICES, DEAD_LETTERS):
        async for value, ids in _records(lab, topic):
            content += value
            lab.published |= ids
    return bytes(content)


async def _records(lab: Lab, topic: str) -> AsyncIterator[tuple[bytes, set[str]]]:
    async with aclosing(read_all(lab.kafka_settings, topic)) as records:
        async for record in records:
            ids = {value.decode() for name, value in record.headers.items() if name == "ce_id"}
            yield (record.value or b"") + b"".join(record.headers.values()), ids


def _every_accepted_event_is_in_kafka(truth: Truth) -> list[str]:
    accepted = {
        _id_of(one["payload"]): one["event_type"]
        for one in truth.procore["deliveries"]
        if one["status"] == "delivered" and one["resource_name"] in OUR_RESOURCES
    }
    taken = {one["event_id"]: one["type"] for one in truth.part3 if one["what"] == "event.taken"}
    return [
        f"I1 {side} was told 2xx for {kind} {event_id}, and Kafka does not have it"
        for side, events in (("Procore", accepted), ("Part3", taken))
        for event_id, kind in events.items()
        if event_id not in truth.published
    ]


def _id_of(payload: str) -> str:
    event = json.loads(payload)
    return str(event.get("ulid") or event["id"])


async def _records_are_equal(work: Work) -> list[str]:
    site, wrong = work.lab.site, list[str]()
    for item in work.items:
        there = await (site.rfi if item.kind == "rfi" else site.submittal)(item.procore_id)
        shown = await site.record(item.kind, item.procore_id)
        title = there["subject" if item.kind == "rfi" else "title"]
        if shown is None or shown["title"] != title:
            wrong.append(f"I1 {item.kind} {item.procore_id} is {title!r}; Part3 shows {shown}")
    return wrong


async def _returns_arrived_once(work: Work, truth: Truth) -> list[str]:
    site, wrong = work.lab.site, list[str]()
    for answer in work.answers:
        intent = truth.intents.get(answer.return_id)
        found = await _carrying(work, answer, intent["marker"]) if intent else []
        if len(found) > 1:
            wrong.append(f"I2 return {answer.return_id} is there {len(found)} times")
        if answer.ends != "delivered":
            continue
        if len(found) != 1:
            wrong.append(f"I2 return {answer.return_id} was to arrive; found {len(found)}")
            continue
        if len(set(await site.receipts(answer.return_id))) != 1:
            wrong.append(f"I2 return {answer.return_id} has several receipts")
        names = [one["name"] for one in found[0]["attachments"]]
        if len(names) != len(answer.files):
            wrong.append(f"I2 return {answer.return_id} has the files {names}")
    return wrong


async def _carrying(work: Work, answer: Answer, marker: str) -> list[dict[str, Any]]:
    site, item = work.lab.site, answer.item
    if item.kind == "rfi":
        replies = await site.replies(item.procore_id)
        return [one for one in replies if carries(one["plain_text_body"], marker)]
    rows = (await site.submittal(item.procore_id))["approvers"]
    return [row for row in rows if carries(row["comment"] or "", marker)]


def _records_were_made_once(truth: Truth) -> list[str]:
    made = Counter(
        (one["kind"], one["procore_id"]) for one in truth.part3 if one["what"] == "record.created"
    )
    responses = Counter(
        (one["resource_id"], one["user_id"])
        for one in truth.procore["effects"]
        if one["effect"] == "Submittals/answered" and one["app"]
    )
    return [f"I2 {what} was made {times} times" for what, times in made.items() if times > 1] + [
        f"I2 submittal {what} was answered {times} times"
        for what, times in responses.items()
        if times > 1
    ]


def _never_older(work: Work, truth: Truth) -> list[str]:
    wrong: list[str] = []
    for item in work.items:
        changes = [
            int(found[1])
            for one in truth.part3
            if one["what"] in ("record.created", "record.replaced")
            and one["procore_id"] == item.procore_id
            and (found := CHANGE.search(one["title"]))
        ]
        if changes != sorted(changes):
            wrong.append(f"I3 {item.kind} {item.procore_id} went back in Part3: {changes}")
    return wrong


def _nobody_wrote_for_another(lab: Lab, truth: Truth) -> list[str]:
    """Every write of the app is Maya's: nobody else has returned anything."""
    maya = lab.site.procore_id_of(lab.site.maya)
    return [
        f"I4 {one['method']} {one['path']} was made as {one['user_id']}"
        for one in truth.procore["calls"]
        if one["app"]
        and (one["path"].endswith("/replies") or "/submittal_approvers/" in one["path"])
        and one["method"] != "GET"
        and one["user_id"] not in (None, maya)
    ]


async def _no_secret_is_outside(lab: Lab, truth: Truth) -> list[str]:
    environment = lab.stack.environment
    secrets = [
        part.partition(":")[2] or part
        for name in (
            "WEBHOOK_SECRET_KEYS",
            "TOKEN_ENCRYPTION_KEYS",
            "PART3_LAUNCH_KEYS",
            "INTERNAL_API_KEYS",
            "PROCORE_CLIENT_SECRET",
            "PART3_API_TOKEN",
            "PART3_WEBHOOK_SECRETS",
        )
        for part in environment[name].split(",")
    ]
    secrets.append(await lab.site.dana_access_token())
    places = {"Kafka": truth.kafka_bytes, "the history": lab.history.path.read_bytes()}
    for log in (lab.stack.run.folder / "logs").glob("*.log"):
        if log.stem in ("gateway", "token-service") or log.stem.startswith("worker-"):
            places[log.name] = log.read_bytes()
    return [
        f"I6 a secret stands in {place}"
        for place, content in places.items()
        if any(secret.encode() in content for secret in secrets)
    ]


async def _everything_is_explained(work: Work) -> list[str]:
    site = work.lab.site
    hidden = await site.rows(
        "SELECT return_id, state FROM mirror.deliveries WHERE"
        " (state IN ('new', 'sending', 'waiting') AND due_at IS NULL)"
        " OR (state IN ('held', 'waiting') AND (reason IS NULL OR message IS NULL))"
    )
    wrong = [f"I7 return {row['return_id']} is {row['state']} in silence" for row in hidden]
    for answer in work.answers:
        state = await site.return_state(answer.return_id)
        if state != answer.ends:
            wrong.append(f"I7 return {answer.return_id} is {state}, not {answer.ends}")
    return wrong
