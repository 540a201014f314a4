"""Procore's deliveries: payloads v2.0, v3.0 and v4.0.

v4.0 names the record by `resource_type` and what happened by `reason`; the older ones by
`resource_name` and `event_type`. A version we do not know is read by the words it uses. Nothing in
a payload is believed beyond "look at this record again".
"""

import hashlib

from schemas.notices import RESOURCE_NAMES, ProcoreNotice, ProcoreResource
from webhook_gateway.fields import (
    Fields,
    event_id,
    is_name,
    moment,
    name,
    optional_procore_id,
    procore_id,
)
from webhook_gateway.readings import Ignored, Unreadable
from webhook_gateway.strict_json import NotReadable, read_object

_RESOURCES = {name.casefold(): resource for name, resource in RESOURCE_NAMES.items()}


def read_procore(
    body: bytes, *, project_id: str, generation: int
) -> ProcoreNotice | Unreadable | Ignored:
    """Read an authentic delivery; never raises.

    Args:
        body: as it was sent, at most 256 KiB.
        project_id: Part3's, from the hook's URL.
        generation: of the hook, from its URL.
    """
    try:
        fields = read_object(body)
        names = ("resource_type", "reason") if _is_v4(fields) else ("resource_name", "event_type")
        resource = _resource(fields, names[0])
        if resource is None:
            return Ignored()
        return ProcoreNotice(
            project_id=project_id,
            generation=generation,
            notice_id=_notice_id(fields, body),
            resource=resource,
            record_id=procore_id(fields, "resource_id"),
            reason=name(fields, names[1]).lower(),  # v2.0 event types come in either case
            procore_company_id=optional_procore_id(fields, "company_id"),
            procore_project_id=procore_id(fields, "project_id"),
            procore_user_id=optional_procore_id(fields, "user_id"),
            occurred_at=moment(fields.get("timestamp")),
        )
    except NotReadable as error:
        return Unreadable(error.cause)


def _is_v4(fields: Fields) -> bool:
    return "resource_type" in fields and "resource_name" not in fields


def _resource(fields: Fields, key: str) -> ProcoreResource | None:
    value = fields.get(key)
    if type(value) is str and (known := RESOURCE_NAMES.get(value)):
        return known
    if not is_name(value):
        raise NotReadable("no_resource")
    return _RESOURCES.get(fields[key].casefold())


def _notice_id(fields: Fields, body: bytes) -> str:
    """Return the event's id: the ULID, which all versions share, or what else names this event."""
    for key in ("ulid", "id"):
        if (found := event_id(fields.get(key))) is not None:
            return found
    return "body-" + hashlib.sha256(body).hexdigest()[:32]
