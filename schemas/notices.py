"""Notices: one side's word that something changed. They carry no state; that is read afterwards.

They travel over Kafka as CloudEvents in binary mode: the fields every event has are headers
(`ce_*`), the value is the JSON of one of the structs below, and the key is Part3's project id, so
that one project is one partition.
"""

from datetime import datetime
from typing import Literal

import msgspec

PROCORE_NOTICES = "procore.notices"
PART3_NOTICES = "part3.notices"
DEAD_LETTERS = "mirror.dead-letters"
OUTCOMES = "mirror.outcomes"
TOPICS = (PROCORE_NOTICES, PART3_NOTICES, DEAD_LETTERS, OUTCOMES)
WORKER_GROUP = "sync-workers"
"""The consumer group in which the workers share the partitions."""

INSTALLATION = "installation."
"""How the client id begins under which a worker joins; the rest is one for each installation."""

ProcoreResource = Literal["rfi", "rfi_reply", "submittal"]
RESOURCE_NAMES: dict[str, ProcoreResource] = {
    "RFIs": "rfi",
    "RFI Replies": "rfi_reply",
    "Submittals": "submittal",
}
"""Procore's webhook resource names, exactly as its `resources` listing spells them, to ours."""

Part3EventType = Literal[
    "return.created",
    "return.confirmed",
    "return.withdrawn",
    "record.changed",
    "member.changed",
    "project.archived",
]


class ProcoreNotice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=False):
    """Procore's word that a record changed.

    `project_id` is Part3's and comes from the hook's URL, which the hook's secret is bound to.
    `procore_company_id` and `procore_project_id` are what the body says; the worker compares them
    with the connection before it does anything. All ids are text: payload v2.0 sends numbers and
    v4.0 strings, and they may exceed 2**53.
    """

    project_id: str
    generation: int
    notice_id: str  # the sender's event id; comes again when the event is sent again
    resource: ProcoreResource
    record_id: str  # of the resource: for `rfi_reply` the reply's own id, its RFI is not named
    reason: str  # create, update, delete, or a word of a later payload version
    procore_company_id: str | None
    procore_project_id: str
    procore_user_id: str | None
    occurred_at: datetime | None  # what the sender says; never used to order anything


class Part3Notice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=False):
    """Part3's word that a return, a record, a member or a project changed."""

    project_id: str
    notice_id: str  # the `webhook-id` header: the same for every attempt to deliver one event
    type: Part3EventType
    occurred_at: datetime
    kind: str | None = None
    procore_id: str | None = None
    return_id: str | None = None
    user_id: str | None = None


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a record or a return, for whoever else wants to know (`mirror.outcomes`)."""

    project_id: str
    kind: Literal["rfi", "submittal"]
    procore_id: str
    return_id: str | None
    outcome: str  # an event name of the activity log, e.g. record.mirrored, return.delivered
    at: datetime
    reason: str | None = None  # of a return that is held, waits or failed, e.g. withdrawn
