"""The rows of a submittal's workflow, as they are made from what a person set."""

from typing import Any

from msgspec.structs import replace

from sandbox.procore.domain import directory
from sandbox.procore.domain.people import Project
from sandbox.procore.domain.submittal_fields import RowFields
from sandbox.procore.domain.submittal_model import ApproverRow, Submittal
from sandbox.procore.errors import Unprocessable
from sandbox.procore.world import World


def response_of_class(project: Project, considered: str) -> int:
    """The id of the project's response of that class."""
    return next(r.id for r in project.responses if r.considered == considered)


def rows_of(
    world: World,
    project: Project,
    submittal: Submittal,
    steps: tuple[tuple[RowFields, ...], ...],
) -> tuple[ApproverRow, ...]:
    """Rows by step; an existing row keeps its id and its answer."""
    base = directory.company(world, project.company_id).id_base
    pending = response_of_class(project, "pending")
    rows: list[ApproverRow] = []
    for number, step in enumerate(steps, start=1):
        for given in step:
            kept = submittal.row(given.row_id) if given.row_id else None
            row = kept or ApproverRow(
                id=world.next_id(base),
                user_id=given.user_id,
                type=given.type,
                step=number,
                response_id=pending,
            )
            changes: dict[str, Any] = {
                "step": number,
                "required": given.required,
                "days_to_respond": given.days_to_respond,
                "due_on": given.due_on or row.due_on,
            }
            if not row.answered:
                changes |= {"user_id": given.user_id, "type": given.type}
            rows.append(replace(row, **changes))
    lost = [r for r in submittal.rows if r.answered and r.id not in {x.id for x in rows}]
    if lost:
        raise Unprocessable(
            fields={"workflow_data": ["a response that was given cannot be removed"]}
        )
    return tuple(rows)


def same_people(source: Submittal) -> tuple[tuple[RowFields, ...], ...]:
    return tuple(
        tuple(
            RowFields(
                user_id=r.user_id,
                type=r.type,
                required=r.required,
                days_to_respond=r.days_to_respond,
            )
            for r in source.rows_of_step(step)
            if r.forwarded_by_row is None and r.added_by_id is None
        )
        for step in source.step_numbers
    )
