"""Who plays which part in a seeded project, and the passing of its days."""

from datetime import datetime, timedelta

import msgspec

from sandbox.procore.domain.people import Actor, Person, Project
from sandbox.procore.world import World


class Team(msgspec.Struct, frozen=True, kw_only=True):
    project: Project
    manager: Person  # of the general contractor: RFI manager and submittal manager, Admin
    architect: Person
    engineer: Person
    trade: Person


def by(person: Person) -> Actor:
    return Actor(user_id=person.id)


def pass_time(world: World, present: datetime, *, hours: float) -> None:
    """Let the seeded clock run on, but never past a minute before the present."""
    latest = present - timedelta(minutes=1)
    world.clock.set(min(world.now() + timedelta(hours=hours), latest))
