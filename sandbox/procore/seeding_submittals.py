"""Submittals in all the states that a log knows, in a fixed mix."""

import random
from datetime import datetime, timedelta

from sandbox.procore.domain import directory, distributing, responses, submittals
from sandbox.procore.domain.files import Incoming
from sandbox.procore.domain.people import Person, SubmittalStatus
from sandbox.procore.domain.responses import Answer
from sandbox.procore.domain.submittal_fields import RowFields, SubmittalFields
from sandbox.procore.domain.submittal_model import Submittal
from sandbox.procore.seeding_content import APPROVER_COMMENTS, SUBMITTALS
from sandbox.procore.seeding_files import pdf, png
from sandbox.procore.seeding_team import Pace, Team, by
from sandbox.procore.world import World

FATES = (
    "distributed",
    "at_architect",
    "at_architect",
    "distributed",
    "at_both",
    "at_engineer",
    "revised",
    "revision",
    "at_architect",
    "draft",
    "distributed",
    "at_architect",
    "answered",
    "private",
    "distributed",
    "at_submitter",
    "at_architect",
    "closed",
    "at_both",
    "distributed",
)
"""Nth submittal, nth fate; the mix repeats. "revision" is the next of the one before."""

CATALOGUE = tuple((section, *rest) for section, entries in SUBMITTALS.items() for rest in entries)


def seed_submittals(
    world: World, team: Team, count: int, chance: random.Random, present: datetime
) -> list[int]:
    """Make that many, revisions included, and return their ids."""
    hours_left = (present - world.now()).total_seconds() / 3600
    pace = Pace(world=world, present=present, hours=hours_left / max(count, 1))
    used: dict[str, int] = {}
    made: list[int] = []
    for number in range(count):
        pace.next_record(chance.uniform(0.2, 0.4))
        fate = FATES[number % len(FATES)]
        if fate == "revision" and made:
            submittal = _revised(world, team, made[-1], number)
        else:
            submittal = _submitted(world, team, number, fate, used, chance)
        _meet_fate(world, team, submittal, fate, number, pace)
        made.append(submittal.id)
    return made


def _submitted(
    world: World,
    team: Team,
    number: int,
    fate: str,
    used: dict[str, int],
    chance: random.Random,
) -> Submittal:
    section_number, title, kind, description = CATALOGUE[number % len(CATALOGUE)]
    project = team.project
    if number >= len(CATALOGUE):
        title = f"{title}, {project.locations[number % len(project.locations)].name}"
    section = next(s for s in project.spec_sections if s.number == section_number)
    used[section_number] = used.get(section_number, 0) + 1
    company_statuses = {s.name: s.id for s in _statuses(world, team)}
    today = world.now().date()
    fields = SubmittalFields(
        number=str(used[section_number]),
        title=title,
        description=description,
        type_name=kind,
        status_id=company_statuses["Draft" if fate == "draft" else "Open"],
        private=fate == "private",
        manager_id=team.manager.id,
        spec_section_id=section.id,
        package_id=project.packages[0].id if section_number.startswith("08") else None,
        received_from_id=team.trade.id,
        responsible_contractor_id=team.trade.vendor.id if team.trade.vendor else None,
        distribution_ids=(team.trade.id,),
        received_on=today,
        submit_by_on=today + timedelta(days=2),
        required_on_site_on=today + timedelta(days=chance.choice((60, 90, 120))),
        lead_time=chance.choice((21, 42, 84)),
        location_id=project.locations[number % len(project.locations)].id,
        steps=_steps(team, fate),
        incoming=tuple(_files(number, title, description)),
    )
    return submittals.create(world, by(team.manager), project.id, fields)


def _statuses(world: World, team: Team) -> tuple[SubmittalStatus, ...]:
    return directory.company(world, team.project.company_id).statuses


def _files(number: int, title: str, description: str) -> list[Incoming]:
    stem = title.replace(",", "").replace("/", "-")
    found = [pdf(f"{stem}.pdf", title, [description, "", "Contractor's review: no exceptions."])]
    if number % 4 == 0:
        found.append(png(f"{stem}.png", number))
    return found


def _steps(team: Team, fate: str) -> tuple[tuple[RowFields, ...], ...]:
    """Trade, contractor, then the design team: one after the other, or side by side."""
    trade = RowFields(user_id=team.trade.id, type="Submitter", days_to_respond=3)
    contractor = RowFields(user_id=team.manager.id, days_to_respond=3)
    architect = RowFields(user_id=team.architect.id, days_to_respond=10)
    engineer = RowFields(user_id=team.engineer.id, days_to_respond=10)
    if fate == "at_both":
        return ((trade,), (contractor,), (architect, engineer))
    if fate == "at_engineer":
        return ((trade,), (contractor,), (engineer,), (architect,))
    return ((trade,), (contractor,), (architect,))


def _meet_fate(
    world: World, team: Team, submittal: Submittal, fate: str, number: int, pace: Pace
) -> None:
    if fate in ("draft", "at_submitter"):
        return
    pace.next_act()
    _answer(world, team, submittal, team.trade, "submitted", None)
    _answer(world, team, submittal, team.manager, "approved", None)
    pace.next_act()
    if fate in ("distributed", "closed", "answered"):
        considered = "approved" if number % 2 else "approved as noted"
        comment = APPROVER_COMMENTS[number % 2]
        _answer(world, team, submittal, team.architect, considered, comment, marked=True)
    if fate == "revised":
        comment = APPROVER_COMMENTS[3]
        _answer(world, team, submittal, team.architect, "revise and resubmit", comment, marked=True)
        rr = next(s.id for s in _statuses(world, team) if s.name == "Revise and Resubmit")
        submittals.close(world, by(team.manager), team.project.id, submittal.id, rr)
    pace.next_act()
    if fate == "closed":
        submittals.close(world, by(team.manager), team.project.id, submittal.id)
    if fate == "distributed":
        distributing.close_and_distribute(
            world,
            by(team.manager),
            team.project.id,
            submittal.id,
            distributing.DistributionFields(message="Released for fabrication."),
        )


def _answer(
    world: World,
    team: Team,
    submittal: Submittal,
    person: Person,
    considered: str,
    comment: str | None,
    *,
    marked: bool = False,
) -> None:
    row = next(r for r in submittal.rows if r.user_id == person.id)
    option = next(r.id for r in team.project.responses if r.considered == considered)
    files: tuple[Incoming, ...] = ()
    if marked:
        review = pdf(
            f"{submittal.title} - reviewed.pdf".replace("/", "-"), "Review", [comment or ""]
        )
        files = (review,)
    answer = Answer(response_id=option, comment=comment, incoming=files)
    responses.respond(world, by(person), team.project.id, submittal.id, row.id, answer)


def _revised(world: World, team: Team, source_id: int, number: int) -> Submittal:
    source = submittals.show(world, by(team.manager), team.project.id, source_id)
    fields = SubmittalFields(
        manager_id=team.manager.id,
        incoming=tuple(_files(number, f"{source.title} R1", "Resubmitted with corrections.")),
    )
    return submittals.revise(world, by(team.manager), team.project.id, source_id, fields)
