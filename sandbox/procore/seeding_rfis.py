"""RFIs in all the states that a project knows, in a fixed mix."""

import random
from datetime import datetime, timedelta

from sandbox.procore.domain import rfi_replies, rfis
from sandbox.procore.domain.rfi_fields import RfiFields
from sandbox.procore.domain.rfi_model import Impact, Rfi
from sandbox.procore.domain.rfi_replies import ReplyFields
from sandbox.procore.seeding_content import REPLIES_OF_GC, RFIS
from sandbox.procore.seeding_files import pdf, png
from sandbox.procore.seeding_team import Pace, Team, by
from sandbox.procore.world import World

FATES = (
    "closed",
    "at_architect",
    "answered",
    "closed",
    "at_architect",
    "at_both",
    "closed",
    "at_architect",
    "at_engineer",
    "draft",
    "closed_two",
    "at_architect",
    "private",
    "answered",
    "closed",
    "at_architect",
    "asked_again",
    "closed",
    "at_architect",
    "draft_closed",
)
"""Nth RFI, nth fate; the mix repeats."""


def seed_rfis(
    world: World, team: Team, count: int, chance: random.Random, present: datetime
) -> list[int]:
    """Make that many and return their ids."""
    hours_left = (present - world.now()).total_seconds() / 3600
    pace = Pace(world=world, present=present, hours=hours_left / max(count, 1))
    made = []
    for number in range(count):
        pace.next_record(chance.uniform(0.3, 0.6))
        rfi = _asked(world, team, number, chance)
        _meet_fate(world, team, rfi, number, chance, pace)
        made.append(rfi.id)
    return made


def _fate(number: int) -> str:
    return FATES[number % len(FATES)]


def _asked(world: World, team: Team, number: int, chance: random.Random) -> Rfi:
    subject, question, drawing, _ = RFIS[number % len(RFIS)]
    if number >= len(RFIS):
        place = team.project.locations[number % len(team.project.locations)]
        again = number // len(RFIS)
        subject = f"{subject}, {place.name}" + (f" ({again})" if again > 1 else "")
    fate = _fate(number)
    draft = fate.startswith("draft")
    assignees = {
        "at_both": (team.architect.id, team.engineer.id),
        "at_engineer": (team.engineer.id,),
    }.get(fate, (team.architect.id,))
    project = team.project
    files = [pdf(f"RFI sketch {number + 1:03}.pdf", subject, [question, "", f"Sheet {drawing}"])]
    if number % 3 == 0:
        files.append(png(f"site photo {number + 1:03}.png", number))
    fields = RfiFields(
        subject=subject,
        question=f"<p>{question}</p>",
        manager_id=team.manager.id,
        assignee_ids=assignees,
        distribution_ids=(team.trade.id,) if number % 4 == 1 else (),
        draft=draft,
        private=fate == "private",
        due_on=(world.now() + timedelta(days=chance.choice((5, 7, 10, 14)))).date(),
        received_from_id=team.trade.id,
        responsible_contractor_id=team.trade.vendor.id if team.trade.vendor else None,
        spec_section_id=project.spec_sections[number % len(project.spec_sections)].id,
        location_id=project.locations[number % len(project.locations)].id,
        drawing_number=drawing,
        reference=f"Sheet {drawing}",
        cost_impact=Impact(status="tbd")
        if number % 5
        else Impact(status="yes_known", value=250.0 * (number + 1)),
        schedule_impact=Impact(status="yes_known", value=float(number % 4 + 1))
        if number % 6 == 0
        else Impact(status="no_impact"),
        incoming=tuple(files),
    )
    return rfis.create(world, by(team.manager), project.id, fields)


def _meet_fate(
    world: World, team: Team, rfi: Rfi, number: int, chance: random.Random, pace: Pace
) -> None:
    pace.next_act()
    answer = RFIS[number % len(RFIS)][3]
    place = (team.project.id, rfi.id)
    fate = _fate(number)
    if fate == "draft_closed":
        rfis.close(world, by(team.manager), *place)
    if fate in ("at_architect", "asked_again") and number % 2:
        _say(world, team, rfi, REPLIES_OF_GC[number % len(REPLIES_OF_GC)])
    if fate in ("answered", "closed", "closed_two", "asked_again"):
        sketch = pdf(f"ASK-{number + 1:03}.pdf", f"Sketch to {rfi.subject}", [answer])
        with_file = number % 2 == 0
        fields = ReplyFields(
            body=f"<p>{answer}</p>",
            incoming=(sketch,) if with_file else (),
        )
        _, reply = rfi_replies.add(world, by(team.architect), *place, fields)
        pace.next_act()
        if fate == "closed_two":
            _say(world, team, rfi, "Thank you. The trade confirms this can be built.")
        if fate.startswith("closed"):
            rfi_replies.mark_official(world, by(team.manager), *place, reply.id, official=True)
            rfis.close(world, by(team.manager), *place)
        if fate == "asked_again":
            _say(world, team, rfi, f"Please clarify: {chance.choice(REPLIES_OF_GC).lower()}")
            rfis.advance_ball(world, by(team.manager), *place)


def _say(world: World, team: Team, rfi: Rfi, words: str) -> None:
    fields = ReplyFields(body=f"<p>{words}</p>")
    rfi_replies.add(world, by(team.manager), team.project.id, rfi.id, fields)
