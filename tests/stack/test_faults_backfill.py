"""kill -9 in the middle of a backfill, and sweeps that find what no webhook told of."""

import hashlib
import re
from collections.abc import AsyncIterator
from html import unescape
from typing import Any

import pytest
import pytest_asyncio

from connector.demo.worlds import PROJECT_ID
from tests.stack.fault_stacks import QUICK, Site, site_on
from tests.stack.stacks import running_stack

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="module")]

RFIS, SUBMITTALS = 10, 10
"""One of each is a draft, which stays in Procore."""

LONG_S = 12.0
DISPOSITIONS = {
    "approved": "proceed",
    "approved as noted": "proceed_as_noted",
    "pending": "pending",
    "revise and resubmit": "revise_resubmit",
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def backfilled(kafka_bootstrap: str, database_url: str) -> AsyncIterator[Site]:
    """A project whose worker was killed while it listed, while it looked, and while it copied.

    Its sweeps are two seconds apart.
    """
    overrides = {**QUICK, "SWEEP_S": "2"}
    async with (
        running_stack(kafka_bootstrap, database_url, overrides=overrides) as stack,
        site_on(stack, rfis=RFIS, submittals=SUBMITTALS) as site,
    ):
        worker = stack.program("worker-1")
        worker.kill()
        await site.connect()
        for method, path in (("GET", r"/rfis$"), ("GET", r"/rfis/\d+$"), ("PUT", "/files/")):
            await _hold_up(site, method, path)
            await worker.start()
            await site.until(f"{path} is held up", lambda: _is_held_up(site))
            worker.kill()
            await site.procore_faults()
            await site.part3_faults()
        await worker.start()
        await site.until_backfilled()
        yield site
        assert site.faults_logged() == []


async def _hold_up(site: Site, method: str, path: str) -> None:
    """Hold up calls on Procore, or files on their way into Part3, after the first few."""
    if method == "PUT":
        slow = {"on": "api", "fault": "latency", "ms": int(LONG_S * 1000), "times": 1}
        await site.part3_faults({**slow, "method": method, "path": path, "probability": 0.5})
        return
    slow = {"kind": "latency", "delay_s": LONG_S, "skip": 0 if path.endswith("rfis$") else 2}
    await site.procore_faults({**slow, "method": method, "path": path})


async def _is_held_up(site: Site) -> bool:
    at_procore = await site.http.get(f"{site.stack.procore}/_sandbox/faults")
    at_part3 = await site.http.get(f"{site.stack.part3}/_sandbox/faults")
    struck = [rule["hits"] > 0 for rule in at_procore.json()["rules"]]
    struck += [rule["times"] == 0 for rule in at_part3.json()["rules"]]
    return any(struck)


async def test_a_killed_backfill_ends_with_every_rfi_as_procore_has_it(backfilled: Site) -> None:
    expected = {}
    for rfi_id in backfilled.made["projects"][0]["rfi_ids"]:
        rfi = await backfilled.rfi(str(rfi_id))
        if rfi["status"] != "draft":
            expected[str(rfi_id)] = await _of_rfi(backfilled, rfi)
    assert len(expected) == RFIS - 1
    found = await backfilled.records("rfi")
    shown = {one: {name: found[one][name] for name in expected[one]} for one in found}
    assert _comparable(shown) == _comparable(expected)


async def test_a_killed_backfill_ends_with_every_submittal_as_procore_has_it(
    backfilled: Site,
) -> None:
    expected = {}
    for submittal_id in backfilled.made["projects"][0]["submittal_ids"]:
        submittal = await backfilled.submittal(str(submittal_id))
        if submittal["status"]["status"] != "Draft":
            expected[str(submittal_id)] = await _of_submittal(backfilled, submittal)
    assert len(expected) == SUBMITTALS - 1
    found = await backfilled.records("submittal")
    shown = {one: {name: found[one][name] for name in expected[one]} for one in found}
    assert _comparable(shown) == _comparable(expected)


async def test_a_killed_backfill_leaves_no_file_behind_and_brings_none_twice(
    backfilled: Site,
) -> None:
    records = [*(await backfilled.records("rfi")).values()]
    records += (await backfilled.records("submittal")).values()
    named = {file["sha256"]: file for record in records for file in _files_of(record)}
    assert all("files_pending" not in record["extras"] for record in records)
    for sha256, file in named.items():
        content = await backfilled.part3_file(sha256)
        assert (hashlib.sha256(content).hexdigest(), len(content)) == (sha256, file["size"])
    stored = await backfilled.part3_ledger(entry="effect", what="file.stored")
    assert sorted(entry["sha256"] for entry in stored) == sorted(named)


async def test_a_killed_backfill_is_told_once_a_kind(backfilled: Site) -> None:
    rows = await backfilled.rows(
        "SELECT event, detail FROM mirror.activity"
        " WHERE project_id = $1 AND event LIKE 'backfill.%' ORDER BY detail->>'kind'",
        PROJECT_ID,
    )
    told = [(row["event"], row["detail"]["kind"], row["detail"]["found"]) for row in rows]
    finished = "backfill.finished"
    assert told == [(finished, "rfi", RFIS), (finished, "submittal", SUBMITTALS)]


async def test_a_sweep_brings_what_no_webhook_told_of(backfilled: Site) -> None:
    rfi_id = await backfilled.ask_rfi("Told by a webhook")
    await backfilled.until_titled("rfi", rfi_id, "Told by a webhook")
    await backfilled.procore_faults({"kind": "drop"})
    await backfilled.rename_rfi(rfi_id, "Found by a sweep")
    submittal_id = await backfilled.send_submittal("Sent while nothing was told")
    await backfilled.until_titled("rfi", rfi_id, "Found by a sweep")
    await backfilled.until_titled("submittal", submittal_id, "Sent while nothing was told")
    effects = (await backfilled.procore_ledger())["effects"]
    dropped = {e["resource_id"] for e in effects if e["effect"] == "event.dropped"}
    assert {rfi_id, submittal_id} <= dropped
    await backfilled.procore_faults()


async def _of_rfi(site: Site, rfi: dict[str, Any]) -> dict[str, Any]:
    """Return what Part3 is to show of an RFI, from Procore's own answer."""
    question = rfi["questions"][0]
    section = rfi["specification_section"]
    return {
        "number": rfi["full_number"],
        "title": rfi["subject"],
        "status": rfi["status"],
        "status_label": rfi["translated_status"],
        "private": rfi["private"],
        "revision": rfi["revision"],
        "question": question["rich_text_body"],
        "spec_section": section and section["label"],
        "due_on": rfi["due_date"],
        "opened_on": _day(rfi["initiated_at"]),
        "closed_on": _day(rfi["time_resolved"]),
        "ball_in_court": _ids(rfi["ball_in_courts"]),
        "assignees": _ids(rfi["assignees"]),
        "manager": str(rfi["rfi_manager"]["id"]),
        "files": await _hashed(site, question["attachments"]),
        "replies": [
            {
                "procore_id": str(answer["id"]),
                "author": str(answer["created_by_id"]),
                "official": answer["official"],
                "text": answer["rich_text_body"],
                "created_at": answer["answer_date"],
                "files": await _hashed(site, answer["attachments"]),
                "return_id": None,
            }
            for answer in question["answers"]
        ],
    }


async def _of_submittal(site: Site, submittal: dict[str, Any]) -> dict[str, Any]:
    """Return what Part3 is to show of a submittal, from Procore's own answer."""
    status = submittal["status"]["status"].lower()
    section, kind = submittal["specification_section"], submittal["type"]
    package = submittal["submittal_package"]
    return {
        "number": submittal["formatted_number"],
        "title": submittal["title"],
        "status": "distributed" if submittal["distributed_at"] else status,
        "status_label": submittal["status"]["name"],
        "private": submittal["private"],
        "revision": submittal["revision"],
        "description": submittal["description"],
        "spec_section": section and section["label"],
        "package": package and package["title"],
        "type": kind and kind["name"],
        "due_on": submittal["due_date"],
        "distributed_at": submittal["distributed_at"],
        "closed_on": _day(submittal["closed_at"]),
        "ball_in_court": _ids(submittal["ball_in_court"]),
        "manager": str(submittal["submittal_manager"]["id"]),
        "files": await _hashed(site, submittal["attachments"]),
        "workflow": [
            {
                "procore_id": str(row["id"]),
                "step": row["workflow_group_number"],
                "person": str(row["user"]["id"]),
                "role": row["approver_type"].lower(),
                "required": row["response_required"],
                "due_on": row["due_date"],
                "response": row["response"] and row["response"]["name"],
                "disposition": row["response"] and DISPOSITIONS.get(row["response"]["considered"]),
                "comment": row["comment"],
                "files": await _hashed(site, row["attachments"]),
            }
            for row in submittal["approvers"]
        ],
    }


async def _hashed(site: Site, attachments: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found = []
    for attachment in attachments:
        content = await site.procore_bytes(attachment["url"])
        found.append(
            {
                "name": attachment["name"],
                "sha256": hashlib.sha256(content).hexdigest(),
                "size": len(content),
                "procore_id": str(attachment["id"]),
            }
        )
    return found


def _day(at: str | None) -> str | None:
    return at[:10] if at else None


def _ids(people: list[dict[str, Any]]) -> list[str]:
    return [str(person["id"]) for person in people]


def _files_of(record: dict[str, Any]) -> list[dict[str, Any]]:
    rows = (*record["replies"], *record["workflow"])
    return [*record["files"], *(file for row in rows for file in row["files"])]


INCIDENTAL = {"content_type", "responded_at"}


def _comparable(value: Any) -> Any:
    """Return people as their ids, times as text of one form, and HTML without its escapes."""
    if isinstance(value, list):
        return [_comparable(one) for one in value]
    if not isinstance(value, dict):
        return (
            re.sub(r"(\+00:00|\.0+Z)$", "Z", unescape(value)) if isinstance(value, str) else value
        )
    if "email" in value or set(value) == {"name", "procore_id", "company"}:
        return value["procore_id"]
    return {name: _comparable(one) for name, one in value.items() if name not in INCIDENTAL}
