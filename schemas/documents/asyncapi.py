"""The four Kafka topics as AsyncAPI 3.0: CloudEvents 1.0 in binary mode.

What every event has travels in headers; a topic's key is Part3's project id, so that one project is
one partition. Source: CloudEvents, Kafka Protocol Binding 1.0, section 3.2.
"""

from typing import Any

import msgspec

from schemas.documents.json_schemas import components
from schemas.notices import (
    DEAD_LETTERS,
    OUTCOMES,
    PART3_NOTICES,
    PROCORE_NOTICES,
    Outcome,
    Part3Notice,
    ProcoreNotice,
)

REF = "#/components/schemas/{name}"
TEXT = {"type": "string"}
EVENT_HEADERS: dict[str, Any] = {
    "ce_specversion": {"const": "1.0"},
    "ce_id": {**TEXT, "minLength": 1, "description": "The sender's; with ce_source it names it."},
    "ce_source": {**TEXT, "minLength": 1, "description": "Which hook or program, as a path."},
    "ce_type": {**TEXT, "minLength": 1, "description": "What happened."},
    "ce_time": {**TEXT, "format": "date-time", "description": "When we took it."},
    "content-type": {**TEXT, "minLength": 1},
    "traceparent": {**TEXT, "description": "W3C trace context to be carried on."},
}
REQUIRED = ["ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time", "content-type"]
LETTER_HEADERS = {
    **EVENT_HEADERS,
    "dead_letter_cause": {**TEXT, "minLength": 1, "description": "One fixed word."},
    "content-encoding": {**TEXT, "description": "As the sender sent it."},
}


def asyncapi() -> dict[str, Any]:
    """Return the document."""
    messages = {
        "procoreNotice": _notice(ProcoreNotice, "Procore's word that a record changed."),
        "part3Notice": _notice(Part3Notice, "Part3's word that something of its own changed."),
        "deadLetter": _dead_letter(),
        "outcome": _notice(Outcome, "What became of a record or a return."),
    }
    topics = {
        "procoreNotices": (PROCORE_NOTICES, "procoreNotice", "webhook_gateway to sync_worker."),
        "part3Notices": (PART3_NOTICES, "part3Notice", "webhook_gateway to sync_worker."),
        "deadLetters": (DEAD_LETTERS, "deadLetter", "What cannot be decoded, to be replayed."),
        "outcomes": (OUTCOMES, "outcome", "sync_worker to whoever wants to know."),
    }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Part3 Procore connector: Kafka topics",
            "version": "1",
            "description": "A notice carries no state: it says that somebody should look again.",
        },
        "defaultContentType": "application/json",
        "channels": {
            name: {
                "address": address,
                "description": words,
                "messages": {message: {"$ref": f"#/components/messages/{message}"}},
            }
            for name, (address, message, words) in topics.items()
        },
        "operations": _operations(topics),
        "components": {
            "messages": messages,
            "schemas": components((ProcoreNotice, Part3Notice, Outcome), REF),
        },
    }


def _operations(topics: dict[str, tuple[str, str, str]]) -> dict[str, Any]:
    """Return what a reader of a topic does: all of them are read by consumer groups."""
    return {
        f"read{name[0].upper()}{name[1:]}": {
            "action": "receive",
            "channel": {"$ref": f"#/channels/{name}"},
            "messages": [{"$ref": f"#/channels/{name}/messages/{message}"}],
        }
        for name, (_, message, _) in topics.items()
    }


def _notice(shape: type[msgspec.Struct], words: str) -> dict[str, Any]:
    return {
        "summary": words,
        "contentType": "application/json",
        "headers": {"type": "object", "required": REQUIRED, "properties": EVENT_HEADERS},
        "payload": {"$ref": REF.format(name=shape.__name__)},
        "bindings": {"kafka": {"key": {**TEXT, "description": "Part3's project id."}}},
    }


def _dead_letter() -> dict[str, Any]:
    return {
        "summary": "The original bytes of what could not become a notice, and the cause.",
        "contentType": "application/octet-stream",
        "headers": {
            "type": "object",
            "required": ["dead_letter_cause"],
            "properties": LETTER_HEADERS,
        },
        "payload": {"description": "As it came; the first 256 KiB of a larger one."},
        "bindings": {"kafka": {"key": {**TEXT, "description": "Part3's project id, if known."}}},
    }
