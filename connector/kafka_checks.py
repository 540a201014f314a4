"""What `connector doctor` asks of Kafka: topics, the workers' group, and what we may do there."""

import asyncio
from collections.abc import Sequence

from connector.findings import Ill
from schemas.notices import (
    DEAD_LETTERS,
    INSTALLATION,
    OUTCOMES,
    PART3_NOTICES,
    PROCORE_NOTICES,
    TOPICS,
    WORKER_GROUP,
)
from services import kafka
from services.settings import KafkaSettings

CONNECT_TIMEOUT_S = 5.0
NOTICES = (PROCORE_NOTICES, PART3_NOTICES)
CANNOT_SAY = (kafka.KafkaAway, NotImplementedError)
"""What we may do is not known: Kafka is away, or older than 2.3, which does not say it."""
Operations = tuple[str, ...]
SEES: Operations = ("Describe",)
READS: Operations = ("Describe", "Read")
WRITES: Operations = ("Describe", "Write")
TOPIC_RIGHTS: dict[str, dict[str, Operations]] = {
    "operator": dict.fromkeys(TOPICS, READS),
    "gateway": dict.fromkeys((*NOTICES, DEAD_LETTERS), WRITES) | {OUTCOMES: SEES},
    "worker": dict.fromkeys(NOTICES, READS) | dict.fromkeys((DEAD_LETTERS, OUTCOMES), WRITES),
}
"""Per user of Kafka; the same as in deploy/kubernetes/components/strimzi/users.yaml."""
GROUP_RIGHTS: dict[str, dict[str, Operations]] = {
    "operator": {WORKER_GROUP: SEES},
    "gateway": {},
    "worker": {WORKER_GROUP: READS},
}


async def topics(settings: KafkaSettings) -> str:
    """Kafka answers, and every topic is there and led. A denied topic is not taken for missing."""
    try:
        await kafka.check(settings)
    except kafka.KafkaAway as error:
        if "topics are missing" not in str(error):
            raise Ill(str(error), await _remedy(settings)) from error
        try:
            hidden = await kafka.lacking(settings, dict.fromkeys(TOPICS, SEES), {})
        except CANNOT_SAY:  # the check of rights tells why
            hidden = []
        if hidden:
            raise _denied(settings, hidden) from error
        raise Ill(str(error), "Run `connector topics`.") from error
    return "reachable, all topics are there"


async def rights(settings: KafkaSettings, users: Sequence[str]) -> str:
    """The principal may do what these users of Kafka must: operator, gateway, worker."""
    lacks: list[kafka.Lack] = []
    try:
        for user in users:
            asked = kafka.lacking(settings, TOPIC_RIGHTS[user], GROUP_RIGHTS[user])
            lacks += [one for one in await asked if one not in lacks]
    except kafka.KafkaAway as error:
        raise Ill("not known while Kafka cannot be asked", "Mend Kafka first.") from error
    except NotImplementedError as error:
        message = "not known: these brokers do not say what is allowed, as Kafka does since 2.3"
        raise Ill(message, "Upgrade them, or look at the ACLs by hand.") from error
    if lacks:
        raise _denied(settings, lacks)
    return f"{kafka.principal_of(settings)} may do all that the {' and the '.join(users)} does"


async def workers(settings: KafkaSettings) -> str:
    """Somebody takes notices."""
    try:
        members = await kafka.clients_of(settings, WORKER_GROUP)
    except kafka.KafkaAway as error:
        raise Ill("not known while Kafka cannot be asked", "Mend Kafka first.") from error
    if not members:
        raise Ill("none takes notices from Kafka", "Start `python -m sync_worker`; see its log.")
    installations = {name for name in members if name.startswith(INSTALLATION)}
    if len(installations) > 1:
        raise Ill(
            f"workers of {len(installations)} installations, each with its own database, share "
            "one group, so that each hears only a part of the notices",
            "Give each a Kafka or a KAFKA_TOPIC_PREFIX of its own.",
        )
    return f"{len(members)} in the group that takes notices"


def _denied(settings: KafkaSettings, lacks: Sequence[kafka.Lack]) -> Ill:
    principal = kafka.principal_of(settings)
    words = "; ".join(
        f"may not {' or '.join(one.operations)} {one.resource} {one.name}" for one in lacks
    )
    commands = "; ".join(
        f"kafka-acls.sh --add --allow-principal {principal} "
        + " ".join(f"--operation {operation}" for operation in one.operations)
        + f" --{one.resource} {one.name}"
        for one in lacks
    )
    return Ill(f"{principal} {words}", f"Give it these ACLs: {commands}")


async def _remedy(settings: KafkaSettings) -> str:
    """Tell brokers that are away from ones that refuse us: aiokafka says the same of both."""
    for server in settings.bootstrap_servers.split(","):
        host, _, port = server.strip().rpartition(":")
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
        except (OSError, TimeoutError):
            continue
        writer.close()
        return (
            f"{server.strip()} takes connections, and hangs or refuses us: look at its log and its "
            "disk; if it serves others, correct KAFKA_SECURITY_PROTOCOL, KAFKA_CA_FILE, "
            "KAFKA_SASL_MECHANISM, KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD."
        )
    return "Start the brokers, or correct KAFKA_BOOTSTRAP_SERVERS."
