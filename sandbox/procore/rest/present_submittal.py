"""A submittal as JSON, for lists and shows: behaviours 40 and 57 of docs/stand-ins.md.

The fields are those of Procore's reference, submittals.
"""

import html
from typing import Any

from sandbox.procore import links
from sandbox.procore.domain import directory
from sandbox.procore.domain.attachments import Attachment
from sandbox.procore.domain.people import Company, Person, Project
from sandbox.procore.domain.submittal_model import ApproverRow, Distribution, Submittal
from sandbox.procore.rest.present_people import (
    at,
    attachment,
    on,
    user_ref,
    user_refs,
    vendor_ref,
)
from sandbox.procore.world import World


def listed(world: World, project: Project, submittal: Submittal) -> dict[str, Any]:
    """A list's item: complete but for what `whole` adds."""
    body = _head(world, project, submittal)
    body["approvers"] = [_row(world, project, submittal, r, whole=False) for r in submittal.rows]
    return body


def whole(world: World, project: Project, submittal: Submittal) -> dict[str, Any]:
    """What show, create and update answer."""
    body = _head(world, project, submittal)
    body |= {
        "approvers": [_row(world, project, submittal, r, whole=True) for r in submittal.rows],
        "attachments": [attachment(world, submittal, a) for a in submittal.attachments],
        "attachments_count": len(submittal.attachments),
        "rich_text_description": f"<p>{html.escape(submittal.description)}</p>",
        "distributed_submittals": [
            distribution(world, submittal, d) for d in submittal.distributions
        ],
        "is_rejected": submittal.rejected_row_id is not None,
        "rejected_submittal_log_approver_id": submittal.rejected_row_id,
        "source_submittal_log_id": submittal.source_id,
        "for_record_only": False,
        "buffer_time": None,
        "open_date": at(submittal.opened_at),
        "location": None,
        "operation_item_errors": [],
    }
    return body


def _head(world: World, project: Project, submittal: Submittal) -> dict[str, Any]:
    company = directory.company(world, submittal.company_id)
    status = directory.status(world, company.id, submittal.status_id)
    section = directory.spec_section(project, submittal.spec_section_id)
    package = directory.choice(project.packages, submittal.package_id)
    last = submittal.distributions[-1] if submittal.distributions else None
    body: dict[str, Any] = {
        "id": submittal.id,
        "link": links.of_submittal(world, submittal),
        "number": submittal.number,
        "formatted_number": f"{section.number}-{submittal.number}" if section else submittal.number,
        "title": submittal.title,
        "description": html.escape(submittal.description, quote=False),
        "revision": submittal.revision,
        "current_revision": submittal.current_revision,
        "private": submittal.private,
        "status": status and {"id": status.id, "name": status.name, "status": status.status},
        "type": _type(company, submittal.type_name),
        "specification_section": section
        and {
            "id": section.id,
            "number": section.number,
            "description": section.description,
            "label": f"{section.number} - {section.description}",
            "current_revision_id": section.id + 1_000_000,
        },
        "submittal_manager": user_ref(world, submittal.manager_id, with_company=True),
        "received_from": user_ref(world, submittal.received_from_id),
        "responsible_contractor": vendor_ref(
            directory.vendor(world, company.id, submittal.responsible_contractor_id)
        ),
        "created_by": user_ref(world, submittal.created_by_id),
        "ball_in_court": [_ball(world, u) for u in submittal.ball_ids],
        "distribution_members": user_refs(world, submittal.distribution_ids),
        "due_date": on(submittal.due_on),
        "issue_date": on(submittal.issue_on),
        "received_date": on(submittal.received_on),
        "submit_by": on(submittal.submit_by_on),
        "required_on_site_date": on(submittal.required_on_site_on),
        "actual_delivery_date": on(submittal.actual_delivery_on),
        "lead_time": submittal.lead_time,
        "distributed_at": at(submittal.distributed_at),
        "closed_at": at(submittal.closed_at),
        "created_at": at(submittal.created_at),
        "updated_at": at(submittal.updated_at),
        "associated_attachments": [associated(world, submittal, a) for a in submittal.attachments],
        "last_distributed_submittal": last and distribution(world, submittal, last),
        "submittal_package": package and {"id": package.id, "title": package.name},
        "submittal_workflow_template": None,
        "scheduled_task": None,
        "location_id": submittal.location_id,
        "cost_code_id": submittal.cost_code_id,
        "sub_job_id": None,
        "custom_fields": submittal.custom_fields,
    }
    if world.switches.unknown_extra_keys:
        body |= {"prostore_files_count": len(submittal.attachments), "linked_drawings": []}
    return body


def _type(company: Company, name: str | None) -> Any:
    if name is None:
        return None
    known = next((t.id for t in company.types if t.name == name), None)
    return {"id": known, "name": name, "translated_name": name}


def _ball(world: World, user_id: int) -> dict[str, Any]:
    person = directory.person(world, user_id)
    return {
        "id": person.id,
        "login": person.login,
        "name": person.name,
        "initials": person.initials,
        "vendor": vendor_ref(person.vendor),
    }


def associated(world: World, submittal: Submittal, found: Attachment) -> dict[str, Any]:
    """`id` is the association's, `attachment_id` the file's in its place."""
    body = attachment(world, submittal, found)
    return {
        "id": found.id,
        "attachment_id": found.id,
        "filename": found.name,
        "url": body["url"],
        "content_type": found.content_type,
        "state": "complete",
        "file_unavailable": False,
        "attached_at": at(found.attached_at),
        "updated_at": at(found.attached_at),
    }


def _row(
    world: World, project: Project, submittal: Submittal, row: ApproverRow, *, whole: bool
) -> dict[str, Any]:
    body: dict[str, Any] = {
        "id": row.id,
        "approver_type": row.type,
        "user": user_ref(world, row.user_id, with_company=True),
        "response": _response(project, row.response_id),
        "comment": row.comment,
        "due_date": on(row.due_on),
        "sent_date": on(row.sent_on),
        "returned_date": on(row.returned_at.date()) if row.returned_at else None,
        "days_to_respond": row.days_to_respond,
        "response_required": row.required,
        "workflow_group_number": row.step,
        "associated_attachments": [associated(world, submittal, a) for a in row.attachments],
        "variance": None,
    }
    if whole:
        body |= {
            "distributed": row.distributed,
            "attachments": [attachment(world, submittal, a) for a in row.attachments],
            "submittal_associated_attachment_ids": [a.id for a in row.attachments],
        }
    return body


def _response(project: Project, response_id: int) -> Any:
    found = next((r for r in project.responses if r.id == response_id), None)
    return found and {"id": found.id, "name": found.name, "considered": found.considered}


def answer(world: World, submittal: Submittal, row: ApproverRow) -> dict[str, Any]:
    """What the approver PATCH answers."""
    return {
        "id": row.id,
        "attachments": [attachment(world, submittal, a) for a in row.attachments],
        "comment": row.comment,
        "returned_date": on(row.returned_at.date()) if row.returned_at else None,
        "sent_date": on(row.sent_on),
        "days_to_respond": row.days_to_respond,
        "submittal_response_id": row.response_id,
    }


def distribution(world: World, submittal: Submittal, sent: Distribution) -> dict[str, Any]:
    """The record of one distribution."""
    rows = [r for r in submittal.rows if r.id in sent.row_ids]
    return {
        "id": sent.id,
        "sent_at": at(sent.sent_at),
        "message": sent.message,
        "distributed_by": user_ref(world, sent.by_id),
        "distributed_to": user_refs(world, sent.to_ids),
        "distributed_responses": [
            {
                "approver_id": r.id,
                "user": user_ref(world, r.user_id),
                "response_id": r.response_id,
                "comment": r.comment,
                "attachments": [attachment(world, submittal, a) for a in r.attachments],
            }
            for r in rows
        ],
        "distributed_attachments": [attachment(world, submittal, a) for a in sent.attachments],
    }


def workflow_data(world: World, submittal: Submittal) -> dict[str, Any]:
    """Steps, approvers and files; `download_url` points at a page and needs a session."""
    steps = [
        {
            "id": submittal.id * 100 + number,
            "number": number,
            "approver_ids": [r.id for r in submittal.rows_of_step(number)],
        }
        for number in submittal.step_numbers
    ]
    return {
        "steps": steps,
        "approvers": [_member(world, r) for r in submittal.rows],
        "attachments": [
            _workflow_file(world, submittal, row_id, a) for row_id, a in _files(submittal)
        ],
    }


def _member(world: World, row: ApproverRow) -> dict[str, Any]:
    person = world.store.get(Person, row.user_id)
    return {
        "id": row.id,
        "name": person.name if person else "",
        "company_name": person.vendor.name if person and person.vendor else None,
        "days_to_respond": row.days_to_respond,
        "response_required": row.required,
        "attachment_ids": [a.id for a in row.attachments],
    }


def _files(submittal: Submittal) -> list[tuple[int | None, Attachment]]:
    own: list[tuple[int | None, Attachment]] = [(None, a) for a in submittal.attachments]
    return own + [(row.id, a) for row in submittal.rows for a in row.attachments]


def _workflow_file(
    world: World, submittal: Submittal, row_id: int | None, found: Attachment
) -> dict[str, Any]:
    page = f"{links.of_submittal(world, submittal)}/files/{found.id}"
    return {
        "id": found.id,
        "approver_id": row_id,
        "name": found.name,
        "download_url": page,
        "viewer_url": f"{page}?view=1",
        "can_carry_forward": True,
        "is_processing": False,
        "has_failed": False,
    }
