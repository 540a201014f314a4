"""What a person may set on a submittal."""

from datetime import date
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from sandbox.procore.domain import files
from sandbox.procore.domain.submittal_model import ApproverType


class RowFields(msgspec.Struct, frozen=True, kw_only=True):
    """One person in a step of a workflow; with `row_id` an existing row."""

    user_id: int
    type: ApproverType = "Approver"
    required: bool = True
    days_to_respond: int = 14
    due_on: date | None = None
    row_id: int | None = None


class SubmittalFields(msgspec.Struct, frozen=True, kw_only=True):
    """What a person may set on a submittal; what is UNSET stays as it is."""

    number: str | UnsetType = UNSET
    title: str | UnsetType = UNSET
    revision: str | UnsetType = UNSET
    description: str | UnsetType = UNSET
    type_name: str | UnsetType | None = UNSET
    status_id: int | UnsetType = UNSET
    private: bool | UnsetType = UNSET
    manager_id: int | UnsetType | None = UNSET
    spec_section_id: int | UnsetType | None = UNSET
    package_id: int | UnsetType | None = UNSET
    received_from_id: int | UnsetType | None = UNSET
    responsible_contractor_id: int | UnsetType | None = UNSET
    distribution_ids: tuple[int, ...] | UnsetType = UNSET
    due_on: date | UnsetType | None = UNSET
    issue_on: date | UnsetType | None = UNSET
    received_on: date | UnsetType | None = UNSET
    submit_by_on: date | UnsetType | None = UNSET
    required_on_site_on: date | UnsetType | None = UNSET
    lead_time: int | UnsetType | None = UNSET
    location_id: int | UnsetType | None = UNSET
    cost_code_id: int | UnsetType | None = UNSET
    custom_fields: dict[str, Any] | UnsetType = UNSET
    source_id: int | UnsetType | None = UNSET  # create only: a revision of that submittal
    steps: tuple[tuple[RowFields, ...], ...] | UnsetType = UNSET  # the whole workflow
    upload_ids: tuple[str, ...] = ()
    file_ids: tuple[int, ...] = ()
    incoming: tuple[files.Incoming, ...] = ()


NOT_COPIED = {"source_id", "steps", "upload_ids", "file_ids", "incoming"}
ADMIN_ONLY = (
    "status_id",
    "manager_id",
    "issue_on",
    "received_on",
    "submit_by_on",
    "required_on_site_on",
    "lead_time",
    "cost_code_id",
    "package_id",
    "steps",
)


def plain_fields(fields: SubmittalFields) -> dict[str, Any]:
    """What is set, by the names of the model."""
    return {
        name: value
        for name in fields.__struct_fields__
        if name not in NOT_COPIED and not isinstance(value := getattr(fields, name), UnsetType)
    }
