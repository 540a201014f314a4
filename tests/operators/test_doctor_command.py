"""`connector doctor`: each fault by name, with its remedy."""

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from connector import kafka_checks
from connector.diagnosis import MOST_SKEW_S, compared
from connector.findings import Ill
from connector.kafka_checks import GROUP_RIGHTS, TOPIC_RIGHTS
from deploy.local.ports import free_port
from services import kafka
from services.postgres import migrate
from tests.kafka_topics import kafka_settings, with_topics
from tests.operators.running import connector, whole_environment

USERS = Path("deploy/kubernetes/components/strimzi/users.yaml")
EVERYTHING = {
    "kafka",
    "postgres",
    "part3",
    "procore login",
    "procore api",
    "clock",
    "clock, procore",
    "gateway",
    "token service, pages",
    "token service, internal",
    "workers",
    "kafka, rights",
    "hooks, audited",
    "hooks, in procore",
}


async def findings_of(environment: dict[str, str], *, code: int) -> dict[str, dict[str, Any]]:
    ended = await connector("doctor", "--json", environment=environment)
    assert ended.code == code, ended.said
    assert ended.err == ""
    said = json.loads(ended.out)
    assert said["ok"] is (code == 0)
    return {finding["check"].split(" http")[0]: finding for finding in said["findings"]}


async def test_all_that_is_away_is_named_with_a_remedy_each() -> None:
    found = await findings_of(whole_environment(port=free_port()), code=1)
    ill = {name for name, finding in found.items() if not finding["ok"]}
    assert ill == EVERYTHING
    assert all(found[name]["remedy"] for name in ill)
    assert "hidden" not in str(found)


async def test_people_read_the_same_in_lines() -> None:
    port = free_port()
    ended = await connector("doctor", environment=whole_environment(port=port))
    assert ended.code == 1
    lines = ended.out.splitlines()
    for name in EVERYTHING:
        at = next(n for n, line in enumerate(lines) if line.startswith(f"FAULT {name}"))
        assert lines[at + 1].strip().startswith("→")
    assert f"127.0.0.1:{port}" in ended.out


async def test_bad_settings_end_it_with_78_and_nothing_else_is_looked_at() -> None:
    environment = whole_environment(port=free_port()) | {
        "PUBLIC_URL": "nowhere",
        "DATABASE_URL": "",
    }
    ended = await connector("doctor", "--json", environment=environment)
    assert ended.code == 78
    said = json.loads(ended.out)
    assert {finding["check"] for finding in said["findings"]} == {"settings"}
    words = " ".join(finding["words"] for finding in said["findings"])
    assert "PUBLIC_URL" in words
    assert "DATABASE_URL" in words


@pytest.mark.kafka
async def test_missing_topics_are_made_by_connector_topics(kafka_bootstrap: str) -> None:
    settings = kafka_settings(kafka_bootstrap)
    environment = whole_environment(port=free_port()) | {
        "KAFKA_BOOTSTRAP_SERVERS": kafka_bootstrap,
        "KAFKA_TOPIC_PREFIX": settings.topic_prefix,
    }
    found = await findings_of(environment, code=1)
    assert not found["kafka"]["ok"]
    assert "connector topics" in found["kafka"]["remedy"]
    made = await connector("topics", environment=environment)
    assert made.code == 0
    assert (await findings_of(environment, code=1))["kafka"]["ok"]


@pytest.mark.kafka
async def test_that_no_worker_runs_is_a_fault(kafka_bootstrap: str) -> None:
    settings = await with_topics(kafka_bootstrap)
    environment = whole_environment(port=free_port()) | {
        "KAFKA_BOOTSTRAP_SERVERS": kafka_bootstrap,
        "KAFKA_TOPIC_PREFIX": settings.topic_prefix,
    }
    found = await findings_of(environment, code=1)
    assert not found["workers"]["ok"]
    assert "python -m sync_worker" in found["workers"]["remedy"]


@pytest.mark.postgres
async def test_missing_schemas_are_made_by_connector_migrate(database: str) -> None:
    environment = whole_environment(port=free_port()) | {"DATABASE_URL": database}
    found = await findings_of(environment, code=1)
    assert not found["postgres"]["ok"]
    assert "connector migrate" in found["postgres"]["remedy"]
    await migrate(database, ("token_service", "sync_worker"))
    assert (await findings_of(environment, code=1))["postgres"]["ok"]


@pytest.mark.parametrize(
    ("apart_s", "words"),
    [(MOST_SKEW_S + 1, "61 s ahead of Procore's"), (-86_400, "86400 s behind Procore's")],
)
def test_a_clock_that_is_off_is_told_by_how_much_and_which_way(apart_s: float, words: str) -> None:
    now = datetime(2026, 9, 1, 12, tzinfo=UTC)
    theirs = format_datetime(now - timedelta(seconds=apart_s), usegmt=True)
    with pytest.raises(Ill) as ill:
        compared(theirs, now, "Procore")
    assert ill.value.words == words
    assert "NTP" in ill.value.remedy


@pytest.mark.parametrize(
    ("date", "words"),
    [
        ("Tue, 01 Sep 2026 12:00:59 GMT", "within 59 s of Part3's"),
        ("Tue, 01 Sep 2026 11:59:30 -0000", "within 30 s of Part3's"),
        ("", "not compared: the other side says no date"),
        ("yesterday", "not compared: the other side says no date"),
    ],
)
def test_a_clock_within_a_minute_or_one_that_nobody_tells_is_no_fault(
    date: str, words: str
) -> None:
    assert compared(date, datetime(2026, 9, 1, 12, tzinfo=UTC), "Part3") == words


@pytest.mark.parametrize(
    "fault", [kafka.KafkaAway("they went away"), NotImplementedError("v2")], ids=["away", "too old"]
)
async def test_kafka_that_does_not_say_what_we_may_do_is_a_fault_and_no_crash(
    monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    async def check(*_asked: Any) -> None:
        raise kafka.KafkaAway("topics are missing: notices")

    async def lacking(*_asked: Any) -> list[kafka.Lack]:
        raise fault

    monkeypatch.setattr(kafka, "check", check)
    monkeypatch.setattr(kafka, "lacking", lacking)
    settings = kafka_settings("127.0.0.1:1")
    with pytest.raises(Ill, match="topics are missing") as missing:
        await kafka_checks.topics(settings)
    assert missing.value.remedy == "Run `connector topics`."
    with pytest.raises(Ill, match="not known"):
        await kafka_checks.rights(settings, ["worker"])


@pytest.mark.parametrize("user", list(TOPIC_RIGHTS))
def test_the_rights_that_are_asked_for_are_those_that_the_manifests_give(user: str) -> None:
    documents = yaml.safe_load_all(USERS.read_text(encoding="utf-8"))
    named = {document["metadata"]["name"]: document for document in documents}
    given = {
        (acl["resource"]["type"], acl["resource"]["name"]): set(acl["operations"])
        for acl in named[f"connector-{user}"]["spec"]["authorization"]["acls"]
    }
    asked = {("topic", name): set(wanted) for name, wanted in TOPIC_RIGHTS[user].items()}
    asked |= {("group", name): set(wanted) for name, wanted in GROUP_RIGHTS[user].items()}
    assert given.keys() == asked.keys()
    assert all(asked[one] <= given[one] for one in asked)
    if user != "operator":  # who also makes the topics
        assert given == asked
