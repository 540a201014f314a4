"""Kafka, used plainly: publish with a deadline, consume without ever going backwards.

What is avoided and why: `docs/decisions/0003`.
"""

from services.kafka.consumer import ConsumerSettings, NoticeConsumer
from services.kafka.driver import KafkaAway
from services.kafka.lanes import ConsumedRecord, Gap, Handle, LaneSettings, OnGap
from services.kafka.publisher import PUBLISH_TIMEOUT_S, Publisher
from services.kafka.rights import Lack, lacking, principal_of
from services.kafka.topics import check, clients_of, create_topics, read_all

__all__ = [
    "PUBLISH_TIMEOUT_S",
    "ConsumedRecord",
    "ConsumerSettings",
    "Gap",
    "Handle",
    "KafkaAway",
    "Lack",
    "LaneSettings",
    "NoticeConsumer",
    "OnGap",
    "Publisher",
    "check",
    "clients_of",
    "create_topics",
    "lacking",
    "principal_of",
    "read_all",
]
