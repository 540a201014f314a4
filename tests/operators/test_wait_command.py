"""`connector wait`: what an init container does until the jobs before it have done their work."""

import asyncio

import pytest
from click.testing import CliRunner

from connector.__main__ import main
from connector.waiting import until_there
from deploy.local.ports import free_port
from tests.operators.running import connector

WHY = ("--reason", "an upgrade", "--by", "Dana")


async def test_it_ends_when_nothing_is_missing_any_more() -> None:
    answers = iter(["two migrations", "one migration", None])
    said: list[str] = []

    async def missing() -> str | None:
        return next(answers)

    left = await until_there({"schemas": missing}, at_most_s=60, say=said.append)
    assert left == {}
    assert said == ["waiting for schemas: two migrations"]


async def test_when_the_time_is_over_it_says_what_is_missing() -> None:
    async def missing() -> str | None:
        return "topics are missing: part3.notices"

    left = await until_there({"topics": missing}, at_most_s=0, say=print)
    assert left == {"topics": "topics are missing: part3.notices"}


@pytest.mark.postgres
async def test_it_waits_for_migrate_and_then_ends_with_0(database: str) -> None:
    environment = {"DATABASE_URL": database}
    hasty = await connector("wait", "--schemas", "--at-most", "0", environment=environment)
    assert hasty.code == 1
    assert "migrations not applied yet" in hasty.said
    waiting = asyncio.create_task(
        connector("wait", "--schemas", "--at-most", "60", environment=environment)
    )
    assert (await connector("migrate", environment=environment)).code == 0
    patient = await waiting
    assert patient.code == 0, patient.said
    assert "schemas: there." in patient.out


async def test_servers_that_are_away_are_waited_for_and_named() -> None:
    environment = {
        "DATABASE_URL": f"postgresql://x@127.0.0.1:{free_port()}/x",
        "KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{free_port()}",
    }
    ended = await connector(
        "wait", "--schemas", "--topics", "--at-most", "0", environment=environment
    )
    assert ended.code == 1
    assert "schemas: Postgres cannot be reached" in ended.said
    assert "topics:" in ended.said


async def test_it_wants_to_be_told_what_for() -> None:
    ended = await connector("wait", environment={})
    assert ended.code == 2
    assert "--schemas, --topics or both" in ended.said


@pytest.mark.parametrize(
    "command", [("wait", "--schemas"), ("drain", "prj_1", *WHY), ("revoke-all", *WHY)]
)
def test_no_command_waits_for_less_than_nothing(command: tuple[str, ...]) -> None:
    ended = CliRunner().invoke(main, [*command, "--at-most", "-1"])
    assert ended.exit_code == 2
    assert "'--at-most': -1.0 is not in the range x>=0" in ended.output
