"""An RFI as JSON, shallow for lists and whole for shows: behaviour 29 of docs/stand-ins.md.

The fields are those of Procore's reference, rfis.
"""

import html
import re
from typing import Any

from sandbox.procore import links
from sandbox.procore.domain import directory
from sandbox.procore.domain.people import Project
from sandbox.procore.domain.rfi_model import STATUS_WORDS, Impact, Reply, Rfi
from sandbox.procore.rest.present_people import (
    at,
    attachment,
    name_of,
    on,
    user_ref,
    user_refs,
    vendor_ref,
)
from sandbox.procore.world import World

BLOCK_END = re.compile(r"</(p|div|li|h\d)>|<br\s*/?>", re.IGNORECASE)
TAG = re.compile(r"<[^>]+>")


def plain(text: str) -> str:
    """HTML without its tags, its entities resolved."""
    return html.unescape(TAG.sub("", BLOCK_END.sub("\n", text))).strip()


def list_item(
    world: World, project: Project, rfi: Rfi, *, as_datetimes: bool = False
) -> dict[str, Any]:
    """What a list holds: no answers, money as a number."""
    body = _head(world, project, rfi, as_datetimes=as_datetimes)
    body["cost_impact"] = _impact(rfi.cost_impact, as_text=False)
    body["questions"] = [
        {
            "id": rfi.question.id,
            "body": rfi.question.html,
            "attachments": [],
            "answers": [],
        }
    ]
    return body


def whole(world: World, project: Project, rfi: Rfi, replies: tuple[Reply, ...]) -> dict[str, Any]:
    """What show, create and update answer; `replies` are those that the reader sees."""
    section = directory.spec_section(project, rfi.spec_section_id)
    body = _head(world, project, rfi)
    body |= {
        "draft": rfi.is_draft,
        "accepted": rfi.status == "closed",
        "ball_in_court_role": rfi.ball_role,
        "distribution_list": user_refs(world, rfi.distribution_ids),
        "specification_section": section
        and {
            "id": section.id,
            "number": section.number,
            "description": section.description,
            "label": f"{section.number} - {section.description}",
        },
        "location_id": rfi.location_id,
        "drawing_ids": [],
        "drawing_number": rfi.drawing_number,
        "proposed_solution": rfi.proposed_solution,
        "custom_textfield_1": {"label": None, "value": rfi.custom_textfield_1},
        "custom_textfield_2": {"label": None, "value": rfi.custom_textfield_2},
        "questions": [_question(world, rfi, replies)],
    }
    if world.switches.unknown_extra_keys:
        body |= {"instructions": [], "correspondences": [], "coordination_issues": []}
    return body


def _head(
    world: World, project: Project, rfi: Rfi, *, as_datetimes: bool = False
) -> dict[str, Any]:
    ball = user_refs(world, rfi.ball_ids, with_company=True)
    assignees = [
        {**ref, "response_required": a.required}
        for a in rfi.assignments
        if (ref := user_ref(world, a.user_id, with_company=True)) is not None
    ]
    due = on(rfi.due_on)
    body: dict[str, Any] = {
        "id": rfi.id,
        "link": links.of_rfi(world, rfi),
        "subject": rfi.subject,
        "title": rfi.subject,
        "status": rfi.status,
        "translated_status": STATUS_WORDS[rfi.status],
        "number": rfi.number,
        "full_number": rfi.full_number,
        "prefix": rfi.prefix or None,
        "revision": rfi.revision,
        "current_revision": rfi.current_revision,
        "has_revisions": rfi.revision != "0" or not rfi.current_revision,
        "source_rfi_header_id": rfi.header_id if rfi.header_id != rfi.id else None,
        "due_date": f"{due}T00:00:00Z" if due and as_datetimes else due,
        "initiated_at": at(rfi.initiated_at),
        "created_at": at(rfi.created_at),
        "updated_at": at(rfi.updated_at),
        "time_resolved": at(rfi.closed_at),
        "deleted": rfi.deleted_at is not None,
        "deleted_at": at(rfi.deleted_at),
        "private": rfi.private,
        "reference": rfi.reference,
        "created_by": user_ref(world, rfi.created_by_id),
        "assignee": assignees[0] if assignees else None,
        "assignees": assignees,
        "ball_in_court": ball[0] if ball else None,
        "ball_in_courts": ball,
        "rfi_manager": user_ref(world, rfi.manager_id),
        "received_from": user_ref(world, rfi.received_from_id, with_company=True),
        "responsible_contractor": vendor_ref(
            directory.vendor(world, rfi.company_id, rfi.responsible_contractor_id)
        ),
        "location": _named(directory.choice(project.locations, rfi.location_id)),
        "cost_code": None,
        "sub_job": None,
        "project_stage": None,
        "cost_impact": _impact(rfi.cost_impact, as_text=True),
        "schedule_impact": _impact(rfi.schedule_impact, as_text=False),
        "priority": {"name": False, "value": None},
        "custom_fields": rfi.custom_fields,
        "connect_export_origin": rfi.connect_export_origin,
    }
    if world.switches.unknown_extra_keys:
        body |= {"guid": f"rfi-{rfi.id:x}", "change_events": []}
    return body


def _named(choice: Any) -> Any:
    return {"id": choice.id, "name": choice.name} if choice else None


def _impact(impact: Impact | None, *, as_text: bool) -> Any:
    if impact is None:
        return {"status": None, "value": None}
    value: Any = impact.value
    if value is not None:
        value = f"{value:.2f}" if as_text else value
    return {"status": impact.status, "value": value}


def _question(world: World, rfi: Rfi, replies: tuple[Reply, ...]) -> dict[str, Any]:
    asked = rfi.question
    return {
        "id": asked.id,
        "question_date": at(asked.asked_at),
        "plain_text_body": plain(asked.html),
        "rich_text_body": asked.html,
        "created_by": name_of(world, asked.author_id),
        "attachments": [attachment(world, rfi, a) for a in asked.attachments],
        "answers": [reply_body(world, rfi, r) for r in replies],
    }


def reply_body(world: World, rfi: Rfi, reply: Reply) -> dict[str, Any]:
    return {
        "id": reply.id,
        "official": reply.official,
        "answer_date": at(reply.created_at),
        "plain_text_body": plain(reply.html),
        "rich_text_body": reply.html,
        "created_by": name_of(world, reply.author_id),
        "created_by_id": reply.author_id,
        "attachments": [attachment(world, rfi, a) for a in reply.attachments],
    }
