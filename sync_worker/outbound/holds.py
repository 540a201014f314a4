"""Why a return waits for a person: the reason code, plain words with the next step, and who.

The words are read by an architect in Part3, beside the answer she has just finished.
"""

from collections.abc import Sequence

import msgspec

from schemas.records import Person
from schemas.returns import Member, Return
from services.pauses import Pause
from services.procore.models import Rfi, Submittal, UserRef

PAUSED = "paused"
PART_WORDS = {
    "question": "question",
    "description": "description",
    "files": "files",
    "revision": "revision",
}


class Hold(msgspec.Struct, frozen=True):
    """A return waits until `mended_by` acts; it then goes by itself."""

    reason: str
    message: str
    mended_by: Person | None


def person_of(user: UserRef | None) -> Person | None:
    """Return a Procore user as the person named to the author, or None."""
    if user is None:
        return None
    return Person(name=user.name, procore_id=user.id, email=user.login, company=user.company)


def author_of(answer: Return) -> Person:
    """Return a return's author as a person who can mend something."""
    return member_person(answer.author)


def member_person(member: Member) -> Person:
    """Return a member of the Part3 project as a person."""
    return Person(name=member.name, email=member.email, company=member.company)


def name_of(record: Rfi | Submittal) -> str:
    """Name a record as people do: `RFI A-014`, `Submittal 03 30 00-1`."""
    match record:
        case Rfi():
            return f"RFI {record.full_number or record.number or record.subject}"
        case Submittal():
            return f"Submittal {record.formatted_number or record.number}"


def manager_words(record: Rfi | Submittal) -> str:
    """Name the record's manager, or say whom to ask without a name."""
    role = "RFI Manager" if isinstance(record, Rfi) else "Submittal Manager"
    return f"{record.manager.name} ({role})" if record.manager else f"the {role}"


def not_authorized(author: Member, *, lapsed: bool) -> Hold:
    """Nobody answers in another's name: the author's own grant is missing or lapsed."""
    what = "has to authorize Procore again" if lapsed else "has not authorized Procore yet"
    return Hold(
        "not_authorized",
        f"{author.name} {what}: Account Settings → Integrations → Authorize. "
        "Then this return goes by itself.",
        member_person(author),
    )


def not_permitted(answer: Return, record_name: str, manager: Person | None) -> Hold:
    """Procore shows the record to others, but this author may not see or answer it."""
    asked = manager.name if manager else "the general contractor"
    return Hold(
        "not_permitted",
        f"Procore does not let {answer.author.name} answer {record_name}. Ask {asked} to give "
        "access (at least Standard on the tool, and a place on the record if it is private).",
        manager,
    )


def record_removed(record_name: str, manager: Person | None) -> Hold:
    """The record is in Procore's recycle bin, or gone."""
    asked = manager.name if manager else "the general contractor"
    return Hold(
        "record_removed",
        f"{record_name} was removed in Procore. Ask {asked} to restore it, or withdraw this "
        "return.",
        manager,
    )


def record_closed(record: Rfi | Submittal, newer: str | None = None) -> Hold:
    """The general contractor closed it first; `newer` names the revision that took its place."""
    why = ""
    if newer is not None or (isinstance(record, Rfi) and record.status == "closed_with_revision"):
        why = f" by {newer or 'a newer revision'}"
    choices = (
        "Or confirm it to send it as a comment on the closed RFI, or withdraw it to file it only "
        "in Part3."
        if isinstance(record, Rfi) and record.status == "closed"
        else "Or withdraw it to file it only in Part3: Procore takes no comment here any more."
    )
    return Hold(
        "record_closed",
        f"{name_of(record)} was closed{why} in Procore before this return arrived. Ask "
        f"{manager_words(record)} to reopen it; it then goes by itself. {choices}",
        person_of(record.manager),
    )


def comment_refused(answer: Return, record_name: str, manager: Person | None, words: str) -> Hold:
    """Its author wanted it as a comment on what is closed, and Procore does not take it."""
    asked = manager.name if manager else "the general contractor"
    return Hold(
        "comment_refused",
        f"Procore refused it as a comment on the closed {record_name}: {words}. Ask {asked} to "
        f"reopen it; it then goes by itself. Or {answer.author.name} withdraws it, to file it "
        "only in Part3.",
        manager or author_of(answer),
    )


def revision_superseded(record: Submittal, newer: str | None = None) -> Hold:
    """A newer revision, named `newer`, took its place while the old one was being reviewed."""
    return Hold(
        "revision_superseded",
        f"{name_of(record)} revision {record.revision or '0'} was replaced by "
        f"{newer or 'a newer revision'} in Procore. Return that one, with these notes carried over "
        "if they still apply; this return stays here until its author withdraws it.",
        person_of(record.manager),
    )


def not_your_turn(answer: Return, record: Rfi | Submittal, why: str) -> Hold:
    """Procore waits for somebody else, or never asked this author."""
    return Hold(
        "not_your_turn",
        f"{why} Ask {manager_words(record)} to ask {answer.author.name} in Procore; this "
        "return then goes by itself.",
        person_of(record.manager),
    )


def already_answered(answer: Return, record: Rfi | Submittal) -> Hold:
    """An answer stands that did not come from this return; it is never overwritten."""
    if isinstance(record, Rfi):
        message = (
            f"{answer.author.name} has already replied to {name_of(record)} in Procore since "
            "this was read in Part3. Confirm to add this return as a further reply, or withdraw "
            "it."
        )
    else:
        message = (
            f"{answer.author.name}'s response to {name_of(record)} has already been given in "
            "Procore and is not overwritten. Withdraw this return, or ask "
            f"{manager_words(record)} to send it back for another answer. What is written here "
            "stays in Part3; Procore takes no further comment in a place that has answered."
        )
    return Hold("already_answered", message, author_of(answer))


def question_changed(
    answer: Return, record: Rfi | Submittal, parts: Sequence[str], shown: Sequence[str] = ()
) -> Hold:
    """What was answered is not what now stands there; `shown` says what differs."""
    named = _and([f"the {PART_WORDS[part]}" for part in parts])
    what = (
        f"{named[0].upper()}{named[1:]} of {name_of(record)} changed in Procore after "
        f"{answer.author.name} read it."
        if parts
        else f"It cannot be told which version of {name_of(record)} was answered."
    )
    return Hold(
        "question_changed",
        f"{' '.join([what, *shown])} Look at it again in Part3, then confirm this return or "
        "withdraw it.",
        author_of(answer),
    )


def empty_answer(answer: Return) -> Hold:
    """Neither words nor files."""
    return Hold(
        "empty_answer",
        "This return has neither text nor files. Withdraw it and return it with an answer.",
        author_of(answer),
    )


def file_rejected(answer: Return, name: str, why: str) -> Hold:
    """One file cannot go; a return goes whole or not at all."""
    return Hold(
        "file_rejected",
        f"The file “{name}” cannot go to Procore: {why}. Withdraw this return and return it with "
        "that file put right.",
        author_of(answer),
    )


def refused(answer: Return, words: str) -> Hold:
    """Procore took the call and refused what was in it, for a reason not known beforehand."""
    return Hold(
        "refused_by_procore",
        f"Procore refused this return: {words}. It is tried again by itself; if that does not "
        "help, withdraw it and return it anew.",
        author_of(answer),
    )


def paused(pause: Pause) -> Hold:
    """The operators let no return go for now; nobody else can or need do anything."""
    return Hold(
        PAUSED,
        f"The connection is {pause.words}. This return is kept and goes by itself when they "
        "resume it; nobody needs to do anything.",
        None,
    )


def not_connected(state: str) -> Hold:
    """The project's connection is paused or gone."""
    return Hold(
        "not_connected",
        f"This project's connection to Procore is {state}. Connect it again in the project's "
        "Settings → Integrations; this return then goes by itself.",
        None,
    )


def nothing_crosses(state: str) -> Hold:
    """Beside a record that nobody has answered yet: its project is not connected."""
    if state == "paused":
        message = (
            "The connection to Procore is paused: nothing can be returned until it is resumed."
        )
    else:
        message = (
            "This project is not connected to Procore any more. What came from there stays here, "
            "and nothing can be returned until a General Contractor connects it again in the "
            "project's Settings → Integrations."
        )
    return Hold("not_connected", message, None)


def outcome_unknown(answer: Return, record_name: str, marker: str) -> Hold:
    """Sent as often as may be, and never seen."""
    return Hold(
        "outcome_unknown",
        f"Procore was sent this return and never said what became of it, nor shows it. Look at "
        f"{record_name} in Procore for “Part3 ref. {marker}”: if it is there, it will be found "
        "by itself; if not, confirm to send it once more.",
        author_of(answer),
    )


def read_back_differs(answer: Return, marker: str, what: Sequence[str]) -> Hold:
    """It was written, and what Procore shows is not what was sent."""
    return Hold(
        "read_back_differs",
        f"This return was sent to Procore as “Part3 ref. {marker}”, but read back {_and(what)}. "
        "Look at it in Procore; this clears by itself once it is as it was returned.",
        author_of(answer),
    )


def _and(names: Sequence[str]) -> str:
    if len(names) < 2:  # noqa: PLR2004 - one name needs no "and"
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"
