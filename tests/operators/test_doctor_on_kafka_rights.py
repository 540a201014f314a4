"""`connector doctor` on what our user of Kafka may do: a real broker that asks who one is."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.admin import CreateAclsRequest, DescribeAclsRequest

from deploy.local.jars import DownloadFailed
from deploy.local.kafka import start_kafka
from deploy.local.ports import LOOPBACK, free_port
from deploy.local.runs import DATA_FOLDER, open_run
from schemas.notices import TOPICS, WORKER_GROUP
from services.kafka import create_topics
from tests.kafka_topics import kafka_settings
from tests.operators.running import connector, whole_environment

pytestmark = [pytest.mark.kafka, pytest.mark.asyncio(loop_scope="module")]

TOPIC, GROUP, LITERAL, ALLOW = 2, 3, 3, 3  # Kafka's codes of ACLs
READ, WRITE, DESCRIBE = 3, 4, 8
USERS = ("gateway", "worker", "stranger")
PASSWORD = "not-a-secret"
PATIENCE_S = 30.0
ASKING = """
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL:SASL_PLAINTEXT
listeners=PLAINTEXT://{host}:{plain},CONTROLLER://{host}:{controller},SASL://{host}:{sasl}
advertised.listeners=PLAINTEXT://{host}:{plain},SASL://{host}:{sasl}
controller.quorum.voters=1@{host}:{controller}
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
listener.name.sasl.sasl.enabled.mechanisms=PLAIN
listener.name.sasl.plain.sasl.jaas.config=\
org.apache.kafka.common.security.plain.PlainLoginModule required {users};
"""


@dataclass(frozen=True)
class AskingKafka:
    plain: str
    sasl: str

    async def allow(self, user: str, resource: int, name: str, *operations: int) -> None:
        """Give a user ACLs, and wait until the broker has them."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.plain)
        await admin.start()
        try:
            for operation in operations:
                acl = (resource, name, LITERAL, f"User:{user}", "*", operation, ALLOW)
                await admin._send_request(CreateAclsRequest(*acl))
                async with asyncio.timeout(PATIENCE_S):
                    # what the controller has written down, the broker goes by a little later
                    while not (await admin._send_request(DescribeAclsRequest(*acl))).resources:
                        await asyncio.sleep(0.02)
        finally:
            await admin.close()

    def environment(self, user: str, password: str = PASSWORD) -> dict[str, str]:
        return whole_environment(port=free_port()) | {
            "KAFKA_BOOTSTRAP_SERVERS": self.sasl,
            "KAFKA_SECURITY_PROTOCOL": "sasl_plaintext",
            "KAFKA_SASL_MECHANISM": "PLAIN",
            "KAFKA_SASL_USERNAME": user,
            "KAFKA_SASL_PASSWORD": password,
        }


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def asking() -> AsyncIterator[AskingKafka]:
    """A Kafka of its own, since it has users; the topics are there."""
    plain, controller, sasl = free_port(), free_port(), free_port()
    users = " ".join(f'user_{user}="{PASSWORD}"' for user in USERS)
    more = ASKING.format(host=LOOPBACK, plain=plain, controller=controller, sasl=sasl, users=users)
    async with open_run(DATA_FOLDER) as run:
        try:
            await start_kafka(run, DATA_FOLDER / "cache", more_settings=more)
        except DownloadFailed as error:
            pytest.skip(str(error))
        kafka = AskingKafka(f"{LOOPBACK}:{plain}", f"{LOOPBACK}:{sasl}")
        await create_topics(kafka_settings(kafka.plain, ""), partitions=1)
        yield kafka


async def found(environment: dict[str, str], *arguments: str) -> dict[str, dict[str, Any]]:
    ended = await connector("doctor", "--json", *arguments, environment=environment)
    assert ended.code == 1, ended.said
    assert PASSWORD not in ended.said
    return {one["check"]: one for one in json.loads(ended.out)["findings"]}


async def rights_once_known(environment: dict[str, str], *arguments: str) -> dict[str, Any]:
    """Return what is found: a group has its coordinator only some time after the first question."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            rights = (await found(environment, *arguments))["kafka, rights"]
            if not rights["words"].startswith("not known"):
                return rights


async def test_topics_that_we_may_not_see_are_not_taken_for_missing(asking: AskingKafka) -> None:
    kafka = (await found(asking.environment("stranger")))["kafka"]
    assert not kafka["ok"]
    assert "User:stranger may not Describe topic procore.notices" in kafka["words"]
    assert "connector topics" not in kafka["remedy"]
    assert (
        "kafka-acls.sh --add --allow-principal User:stranger --operation Describe "
        "--topic mirror.outcomes" in kafka["remedy"]
    )


async def test_what_may_not_be_read_or_written_is_named_with_its_acl(asking: AskingKafka) -> None:
    environment = asking.environment("worker")
    for topic in TOPICS:
        await asking.allow("worker", TOPIC, topic, DESCRIBE)
    rights = (await found(environment, "--as", "worker"))["kafka, rights"]
    assert not rights["ok"]
    assert "User:worker may not Read topic procore.notices" in rights["words"]
    assert "may not Write topic mirror.outcomes" in rights["words"]
    assert f"may not Describe or Read group {WORKER_GROUP}" in rights["words"]
    for topic in TOPICS:
        await asking.allow("worker", TOPIC, topic, WRITE if "mirror" in topic else READ)
    await asking.allow("worker", GROUP, WORKER_GROUP, DESCRIBE, READ)
    rights = await rights_once_known(environment, "--as", "worker")
    assert rights["ok"]
    assert rights["words"] == "User:worker may do all that the worker does"
    operator = (await found(environment))["kafka, rights"]
    assert operator["words"] == (
        "User:worker may not Read topic mirror.dead-letters; may not Read topic mirror.outcomes"
    )


async def test_a_wrong_password_is_told_from_brokers_that_are_away(asking: AskingKafka) -> None:
    kafka = (await found(asking.environment("gateway", "wrong")))["kafka"]
    assert not kafka["ok"]
    assert "KAFKA_SASL_PASSWORD" in kafka["remedy"]
