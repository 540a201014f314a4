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


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """How the days of a seeded project go by: records evenly, acts on them in between."""

    world: World
    present: datetime
    hours: float  # from one record to the next

    def next_record(self, share: float) -> None:
        pass_time(self.world, self.present, hours=self.hours * share)

    def next_act(self) -> None:
        """Somebody gets round to it: a fifth of the way to the next record."""
        pass_time(self.world, self.present, hours=self.hours * 0.2)


def pass_time(world: World, present: datetime, *, hours: float) -> None:
    """Let the seeded clock run on, but never past a minute before the present."""
    latest = present - timedelta(minutes=1)
    world.clock.set(min(world.now() + timedelta(hours=hours), latest))
