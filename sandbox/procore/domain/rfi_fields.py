"""What a person may set on an RFI."""

from datetime import date
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from sandbox.procore.domain import files
from sandbox.procore.domain.rfi_model import Impact


class RfiFields(msgspec.Struct, frozen=True, kw_only=True):
    """What a person may set on an RFI; what is UNSET stays as it is."""

    subject: str | UnsetType = UNSET
    question: str | UnsetType = UNSET  # HTML
    manager_id: int | UnsetType = UNSET
    assignee_ids: tuple[int, ...] | UnsetType = UNSET
    required_assignee_ids: tuple[int, ...] | UnsetType = UNSET
    distribution_ids: tuple[int, ...] | UnsetType = UNSET
    draft: bool | UnsetType = UNSET
    accepted: bool | UnsetType = UNSET  # True closes, False reopens
    private: bool | UnsetType = UNSET
    number: str | UnsetType = UNSET
    due_on: date | UnsetType | None = UNSET
    received_from_id: int | UnsetType | None = UNSET
    responsible_contractor_id: int | UnsetType | None = UNSET
    spec_section_id: int | UnsetType | None = UNSET
    location_id: int | UnsetType | None = UNSET
    cost_code_id: int | UnsetType | None = UNSET
    project_stage_id: int | UnsetType | None = UNSET
    reference: str | UnsetType | None = UNSET
    drawing_number: str | UnsetType | None = UNSET
    proposed_solution: str | UnsetType | None = UNSET
    cost_impact: Impact | UnsetType | None = UNSET
    schedule_impact: Impact | UnsetType | None = UNSET
    custom_textfield_1: str | UnsetType | None = UNSET
    custom_textfield_2: str | UnsetType | None = UNSET
    custom_fields: dict[str, Any] | UnsetType = UNSET
    source_header_id: int | UnsetType | None = UNSET  # create only: a revision of that RFI
    upload_ids: tuple[str, ...] = ()  # files of the question
    file_ids: tuple[int, ...] = ()
    incoming: tuple[files.Incoming, ...] = ()


NOT_COPIED = {
    "question",
    "draft",
    "accepted",
    "assignee_ids",
    "required_assignee_ids",
    "source_header_id",
    "upload_ids",
    "file_ids",
    "incoming",
}
ADMIN_ONLY = {"assignee_ids", "required_assignee_ids", "due_on", "number"}


def plain_fields(fields: RfiFields) -> dict[str, Any]:
    """What is set, by the names of the model."""
    return {
        name: value
        for name in fields.__struct_fields__
        if name not in NOT_COPIED and not isinstance(value := getattr(fields, name), UnsetType)
    }
