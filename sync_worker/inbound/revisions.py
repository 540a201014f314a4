"""Which record a revision supersedes: pure, and never a guess between two candidates.

A revision is a record of its own; its identity is its Procore id. An RFI names the first of its
revisions, a submittal's list item names none, so the one just before is found among the records
of its chain: an RFI's by that first id, a submittal's by spec section and number.
"""

from collections.abc import Iterable
from typing import NamedTuple

from services.procore.models import Rfi, Submittal


class Sibling(NamedTuple):
    """A mirrored record of the same chain."""

    procore_id: str
    revision: str | None
    previous_revision: str | None = None  # as Part3 was told


def chain_of(source: Rfi | Submittal) -> str | None:
    """Return what all revisions of a record share; None for what nothing can be linked to."""
    match source:
        case Rfi():
            return source.source_rfi_header_id or source.id
        case Submittal():
            number = source.formatted_number or source.number
            return f"{source.spec_section or ''}\n{number}" if number else None


def previous_of(source: Rfi | Submittal, chain: Iterable[Sibling]) -> str | None:
    """Return the Procore id of the revision that a record supersedes, or None.

    Args:
        source: the record.
        chain: the mirrored records that share its chain, itself perhaps among them.
    """
    if isinstance(source, Submittal) and source.source_submittal_id not in (None, source.id):
        return source.source_submittal_id  # Procore's own word
    nearest = _nearest(source.id, source.revision, chain)
    if nearest is None and isinstance(source, Rfi) and source.revision in (None, "1"):
        header = source.source_rfi_header_id
        return header if header != source.id else None
    return nearest


def misled(newcomer: Sibling, chain: Iterable[Sibling]) -> tuple[str, ...]:
    """Return the ids of those that a newcomer to their chain comes just before."""
    rank, others = _rank(newcomer.revision), [one for one in chain if one[0] != newcomer[0]]
    if rank is None:
        return ()
    later = ((_rank(one.revision), one) for one in others)
    return tuple(
        one.procore_id
        for other, one in later
        if other is not None
        and other > rank
        and _nearest(one.procore_id, one.revision, [*others, newcomer]) != one.previous_revision
    )


def _nearest(procore_id: str, revision: str | None, chain: Iterable[Sibling]) -> str | None:
    """The highest lower revision; None where two claim to be it, as after a copy by hand."""
    rank = _rank(revision)
    if rank is None:
        return None
    lower = [
        (other, one.procore_id)
        for one in chain
        if one.procore_id != procore_id
        and (other := _rank(one.revision)) is not None
        and other < rank
    ]
    highest = max((other for other, _ in lower), default=None)
    found = {one for other, one in lower if other == highest}
    return found.pop() if len(found) == 1 else None


def _rank(revision: str | None) -> int | None:
    text = revision or "0"
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else None  # noqa: PLR2004 - nobody revises so often
