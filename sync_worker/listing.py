"""What the worker's parts ask Procore's lists for; each names here what it needs of them."""

from datetime import datetime
from typing import Protocol

from schemas.records import Kind
from services.procore.models import Page, Place
from services.procore.pacer import Priority


class Pages(Protocol):
    """Lists, page by page. Raises as `Procore.page`."""

    async def page(
        self,
        kind: Kind,
        place: Place,
        *,
        whose: str,
        priority: Priority,
        number: int,
        updated_from: datetime | None,
        updated_to: datetime | None,
    ) -> Page:
        """Read one page of a list."""


class Bins(Protocol):
    """Recycle bins."""

    async def recycled(self, kind: Kind, place: Place, *, whose: str) -> frozenset[str]:
        """Return the ids in a kind's recycle bin."""


class Lists(Pages, Bins, Protocol):
    """Lists, and what lies in their recycle bins."""


class Levels(Protocol):
    """What a person may do in a project."""

    async def is_admin_of_both(self, place: Place, *, whose: str) -> bool:
        """Tell whether a person is Admin on both tools."""


class Trials(Pages, Levels, Protocol):
    """The reads that tell whether somebody can read a project."""
