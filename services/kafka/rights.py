"""What the principal we log in as may do with topics and a group, asked of Kafka itself.

Nothing is written and nothing is read to find out: Kafka says with a topic's metadata and a
group's description which operations are allowed (KIP-430, from 2.3). aiokafka 0.14 ends before that
version of the metadata request and reads the group's answer as an older one, so both stand here, as
Kafka's protocol guide gives them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from services.kafka.driver import (
    Array,
    Boolean,
    Bytes,
    Int16,
    Int32,
    Request,
    RequestStruct,
    Response,
    Schema,
    String,
    for_code,
    open_admin,
)
from services.settings import KafkaSettings

OPERATIONS = {"Read": 3, "Write": 4, "Create": 5, "Describe": 8}  # AclOperation's codes
UNKNOWN_TOPIC, TOPIC_DENIED, GROUP_DENIED = 3, 29, 30
NO_COORDINATOR_YET = for_code(15)
NOT_SAID = -(2**31)  # a broker that does not tell


@dataclass(frozen=True, slots=True)
class Lack:
    """What is not allowed on one resource.

    Attributes:
        resource: topic or group.
        name: with the deployment's prefix.
        operations: as ACLs spell them.
    """

    resource: str
    name: str
    operations: tuple[str, ...]


class _TopicsAnswer(Response):  # type: ignore[misc] # untyped base
    API_KEY = 3
    API_VERSION = 8
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            Array(
                ("node_id", Int32),
                ("host", String("utf-8")),
                ("port", Int32),
                ("rack", String("utf-8")),
            ),
        ),
        ("cluster_id", String("utf-8")),
        ("controller_id", Int32),
        (
            "topics",
            Array(
                ("error_code", Int16),
                ("topic", String("utf-8")),
                ("is_internal", Boolean),
                (
                    "partitions",
                    Array(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", Array(Int32)),
                        ("isr", Array(Int32)),
                        ("offline_replicas", Array(Int32)),
                    ),
                ),
                ("authorized_operations", Int32),
            ),
        ),
        ("cluster_authorized_operations", Int32),
    )


class _TopicsQuestion(RequestStruct):  # type: ignore[misc] # untyped base
    API_KEY = 3
    API_VERSION = 8
    RESPONSE_TYPE = _TopicsAnswer
    SCHEMA = Schema(
        ("topics", Array(String("utf-8"))),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
    )


class _AskTopics(Request[_TopicsQuestion]):  # type: ignore[misc] # untyped base
    API_KEY = 3

    def __init__(self, names: list[str]) -> None:
        self._names = names

    def build(self, struct: Any) -> Any:
        return struct(
            topics=self._names,
            allow_auto_topic_creation=False,
            include_cluster_authorized_operations=False,
            include_topic_authorized_operations=True,
        )


class _GroupsAnswer(Response):  # type: ignore[misc] # untyped base
    API_KEY = 15
    API_VERSION = 3
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "groups",
            Array(
                ("error_code", Int16),
                ("group", String("utf-8")),
                ("state", String("utf-8")),
                ("protocol_type", String("utf-8")),
                ("protocol", String("utf-8")),
                (
                    "members",
                    Array(
                        ("member_id", String("utf-8")),
                        ("client_id", String("utf-8")),
                        ("client_host", String("utf-8")),
                        ("member_metadata", Bytes),
                        ("member_assignment", Bytes),
                    ),
                ),
                ("authorized_operations", Int32),
            ),
        ),
    )


class _GroupsQuestion(RequestStruct):  # type: ignore[misc] # untyped base
    API_KEY = 15
    API_VERSION = 3
    RESPONSE_TYPE = _GroupsAnswer
    SCHEMA = Schema(("groups", Array(String("utf-8"))), ("include_authorized_operations", Boolean))


class _AskGroups(Request[_GroupsQuestion]):  # type: ignore[misc] # untyped base
    API_KEY = 15

    def __init__(self, names: list[str]) -> None:
        self._names = names

    def build(self, struct: Any) -> Any:
        return struct(groups=self._names, include_authorized_operations=True)


def principal_of(settings: KafkaSettings) -> str:
    """Return whom Kafka takes us for; without SASL nobody in particular."""
    named = settings.security_protocol.startswith("SASL") and settings.sasl_username
    return f"User:{named or 'ANONYMOUS'}"


async def lacking(
    settings: KafkaSettings,
    topics: Mapping[str, tuple[str, ...]],
    groups: Mapping[str, tuple[str, ...]],
) -> list[Lack]:
    """Return what of the named operations Kafka does not allow; a topic that is not there has none.

    Args:
        settings: where, as whom, and the prefix.
        topics: names without the prefix, each with the operations it takes.
        groups: likewise.

    Raises:
        KafkaAway: Kafka cannot be reached, or does not take our login.
    """
    found: list[Lack] = []
    async with open_admin(settings) as admin:
        asked = [settings.topic_prefix + topic for topic in topics]
        answer = (await admin._send_request(_AskTopics(asked))).to_object()  # noqa: SLF001
        seen = {topic["topic"]: topic for topic in answer["topics"]}
        for name, wanted in zip(asked, topics.values(), strict=True):
            found += _lack("topic", name, wanted, _topic_bits(seen.get(name)))
        for group, wanted in groups.items():
            name = settings.topic_prefix + group
            found += _lack("group", name, wanted, await _group_bits(admin, name))
    return found


def _topic_bits(topic: Mapping[str, Any] | None) -> int:
    """Return the allowed operations of a topic as bits; a denied one has none."""
    if topic is None or topic["error_code"] == UNKNOWN_TOPIC:
        return NOT_SAID
    return 0 if topic["error_code"] == TOPIC_DENIED else int(topic["authorized_operations"])


async def _group_bits(admin: Any, name: str) -> int:
    try:
        coordinator = await coordinator_of(admin, name)
    except for_code(GROUP_DENIED):
        return 0
    answer = await admin._send_request(_AskGroups([name]), coordinator)  # noqa: SLF001
    (group,) = answer.to_object()["groups"]
    return 0 if group["error_code"] == GROUP_DENIED else int(group["authorized_operations"])


@retry(
    retry=retry_if_exception_type(NO_COORDINATOR_YET),
    wait=wait_fixed(0.3),
    stop=stop_after_delay(5),
    reraise=True,
)
async def coordinator_of(admin: Any, group: str) -> int:
    """Return the node that a group is asked of.

    The first question about any group makes a new cluster create the topic of its groups, which is
    led some moments later.
    """
    node: int = await admin.find_coordinator(group)
    return node


def _lack(resource: str, name: str, wanted: tuple[str, ...], bits: int) -> list[Lack]:
    if bits == NOT_SAID:
        return []
    denied = tuple(one for one in wanted if not bits >> OPERATIONS[one] & 1)
    return [Lack(resource, name, denied)] if denied else []
