"""What a reviewer may take along when a new revision comes while the old one is under review.

The review of the old one stops: its return is held and never goes by itself. Its team-only notes
and the words of a return that did not go are offered on the new one, and only there. Nothing is
taken along unasked, and a disposition never: it is a statement about what was reviewed.
"""

from dataclasses import dataclass
from sqlite3 import Row

from sandbox.part3.house import House
from sandbox.part3.pages.projects import Place
from sandbox.part3.pages.words import REVIEWERS, may_see
from sandbox.part3.wire import Return, StoredRecord

NOT_SENT = ("held", "failed", "withdrawn")


@dataclass(frozen=True, kw_only=True)
class Offer:
    """What was left on the revision before."""

    previous: StoredRecord
    notes: list[Row]
    unsent: Return | None  # one's own, with words


def offer_of(house: House, place: Place, record: StoredRecord) -> Offer | None:
    """What this person may take along to a record; None where there is nothing."""
    if place.me.role not in REVIEWERS or not record.previous_revision:
        return None
    previous = seen(house, place, record.kind, record.previous_revision)
    if previous is None:
        return None
    ids = (previous.procore_id, record.procore_id)
    notes = house.notes.left_behind(place.project.id, record.kind, *ids)
    unsent = _unsent(house, place, previous)
    return Offer(previous=previous, notes=notes, unsent=unsent) if notes or unsent else None


def seen(house: House, place: Place, kind: str, procore_id: str) -> StoredRecord | None:
    """Another record, if it is there and this person may see it."""
    project_id = place.project.id
    record = house.records.find(project_id, kind, procore_id)
    if record is None:
        return None
    readiness = house.records.readiness(project_id, kind, procore_id)
    answers = house.returns.of_record(project_id, kind, procore_id)
    sees = may_see(
        record,
        place.me,
        readiness.for_user_ids if readiness else (),
        returned=any(answer.author.user_id == place.me.user_id for answer in answers),
        veiled=house.records.history.veiled(project_id, kind, procore_id),
    )
    return record if sees else None


def _unsent(house: House, place: Place, previous: StoredRecord) -> Return | None:
    """Their newest return on the earlier revision, if it did not go and has words."""
    answers = house.returns.of_record(place.project.id, previous.kind, previous.procore_id)
    own = (answer for answer in answers if answer.author.user_id == place.me.user_id)
    latest = next(own, None)
    return latest if latest and latest.text and latest.state in NOT_SENT else None
