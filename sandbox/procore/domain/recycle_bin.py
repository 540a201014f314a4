"""The recycle bin, alike for RFIs and submittals: what lies there is gone from lists and reads."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from msgspec.structs import replace

from sandbox.procore.domain.events import Reason
from sandbox.procore.domain.people import Actor
from sandbox.procore.domain.rfi_model import Rfi
from sandbox.procore.domain.submittal_model import Submittal
from sandbox.procore.errors import NotFound
from sandbox.procore.world import World

Item = TypeVar("Item", Rfi, Submittal)
Tell = Callable[[World, Actor, Item, Reason], None]


def put_in(world: World, actor: Actor, item: Item, tell: Tell[Item]) -> Item:
    """Delete an item, and raise its event."""
    now = world.now()
    with world.transaction():
        gone = replace(item, deleted_at=now, updated_at=now)
        world.save(gone)
        tell(world, actor, gone, "delete")
    return gone


def take_out(world: World, actor: Actor, item: Item, tell: Tell[Item]) -> Item:
    """Bring an item back; its event is what the switch `retrieve_raises` says."""
    with world.transaction():
        back = replace(item, deleted_at=None, updated_at=world.now())
        world.save(back)
        tell(world, actor, back, world.switches.retrieve_raises)
    return back


def shown(world: World, item: Item) -> Item:
    """Return an item as the present reader gets it. Raises NotFound."""
    seen = world.seen(item)
    if seen is None:
        raise NotFound
    return seen


def on_this_side(world: World, items: Iterable[Item], *, deleted: bool) -> Iterator[Item]:
    """Yield what the present reader gets of the bin, or of what is outside of it."""
    for item in items:
        seen = world.seen(item)
        if seen is not None and (seen.deleted_at is not None) == deleted:
            yield seen
