"""What must hold at the end of every history, whatever its faults were.

The names are those of docs/reliability.md: I1 every notice, or a sweep, leads to a look; I2 at
most one lasting effect; I3 never an older state after a newer; I4 the right person's grant; I5 no
offset passes unfinished work; I7 in step, moving, or visibly explained. I3 to I5 are also checked
where they could break, while the history goes on.
"""

from collections import Counter

from schemas.records import StoredRecord
from schemas.returns import Return
from services.procore.models import Rfi, Submittal
from simulation.database import UnknownStatement
from simulation.people import IDS
from simulation.programs import Sides

EXPLAINED_WITH_AN_EFFECT = (
    "read_back_differs",
    "outcome_unknown",
    "record_removed",
    "not_authorized",
)


def check_end(sides: Sides) -> None:
    """Write down every invariant that does not hold."""
    _both_sides_agree(sides)
    for answer in sides.part3.returns.values():
        _one_effect_or_a_reason(sides, answer)
    _nothing_is_doubled(sides)
    _grants_are_whole(sides)
    _nothing_is_left_to_do(sides)
    for sql in sorted(sides.database.unknown):
        sides.history.violate("simulation", str(UnknownStatement(sql)))
    if (times := sides.database.noted["fault of ours"]) > 0:
        sides.history.violate("fault", f"a program met {times} faults of its own: see its log")


def _both_sides_agree(sides: Sides) -> None:
    for (kind, record_id), states in sides.procore.states.items():
        held = states[-1][1]
        shown = sides.part3.records.get((kind, record_id))
        if held.deleted:
            if shown is not None and shown.status != "removed":
                sides.history.violate("I1", f"{kind} {record_id} was removed and still shows")
            continue
        if shown is None:
            sides.history.violate("I1", f"{kind} {record_id} does not show in Part3")
        elif (wrong := _difference(held, shown, sides)) is not None:
            sides.history.violate("I1", f"{kind} {record_id} differs: {wrong}")


def _difference(held: Rfi | Submittal, shown: StoredRecord, sides: Sides) -> str | None:
    """Compare what the general contractor owns, without any of the programs' own rules."""
    if isinstance(held, Rfi):
        expected: tuple[object, ...] = (
            held.subject,
            held.status,
            held.question_html,
            tuple(one.id for one in held.question_attachments),
            sorted(reply.id for reply in held.answers or ()),
        )
        found: tuple[object, ...] = (
            shown.title,
            shown.status,
            shown.question,
            tuple(file.procore_id for file in shown.files),
            sorted(reply.procore_id for reply in shown.replies),
        )
    else:
        expected = (
            held.title,
            held.status_class.lower(),
            (held.description or "").replace("&amp;", "&"),
            tuple(one.id for one in held.attachments),
            [(row.id, row.response and row.response.name) for row in held.approvers],
        )
        found = (
            shown.title,
            shown.status,
            shown.description,
            tuple(file.procore_id for file in shown.files),
            [(step.procore_id, step.response) for step in shown.workflow],
        )
    if expected != found:
        return f"{expected} is shown as {found}"
    missing = [file.name for file in shown.files if file.sha256 not in sides.part3.files]
    return f"the bytes of {missing} are missing" if missing else None


def _one_effect_or_a_reason(sides: Sides, answer: Return) -> None:
    row = sides.database.deliveries.get(answer.id)
    if row is None and answer.state == "withdrawn":
        return  # before anybody heard of it
    if row is None:
        sides.history.violate("I7", f"{answer.id} was never taken up")
        return
    markers = {
        intent["marker"]
        for intent in sides.database.write_intents.all()
        if intent["return_id"] == answer.id
    }
    effects = [effect for effect in sides.procore.effects if effect.marker in markers]
    for effect in effects:
        if effect.by != IDS[answer.author.user_id]:
            sides.history.violate("I4", f"{answer.id} stands there as {effect.by}'s")
        if (effect.kind, effect.record_id) != (answer.kind, answer.procore_id):
            sides.history.violate("I4", f"{answer.id} went to {effect.kind} {effect.record_id}")
    told = next(reversed(sides.part3.reports.get(answer.id, [])), None)
    stands = f"{answer.id} is {row['state']} ({row['reason']})"
    if row["state"] == "delivered" and len(effects) != 1:
        sides.history.violate("I2", f"{stands} with {len(effects)} effects")
    elif row["state"] == "failed" and effects:
        sides.history.violate("I2", f"{stands} and stands in Procore")
    elif row["state"] == "held" and effects and row["reason"] not in EXPLAINED_WITH_AN_EFFECT:
        sides.history.violate("I7", f"{stands} and stands in Procore")
    elif row["state"] not in ("delivered", "failed", "held"):
        sides.history.violate("I7", f"{stands} when nothing hinders it any more")
    if told is None or (told.state, told.reason) != (row["state"], row["reason"]):
        sides.history.violate("I7", f"{stands}, but Part3 was told {told and told.state}")
    if row["state"] == "held" and not row["message"]:
        sides.history.violate("I7", f"{stands} without words")


def _nothing_is_doubled(sides: Sides) -> None:
    for marker, times in Counter(effect.marker for effect in sides.procore.effects).items():
        if times > 1:
            sides.history.violate("I2", f"{marker} was executed {times} times")


def _grants_are_whole(sides: Sides) -> None:
    for token, times in sides.login.redeemed.items():
        if times > 1:
            sides.history.violate("grant", f"{token} was redeemed {times} times")
    for user_id, procore_id in IDS.items():
        if sides.database.grants_lost[user_id] > sides.login.unheard[procore_id]:
            sides.history.violate("grant", f"{user_id}'s was lost although its answer had come")
    # one try more is right where nobody heard an answer, or its replica was silent for too long
    reasons = sum(sides.login.lost_answers.values()) + sides.database.noted["refresh lease lapsed"]
    if sum(sides.login.reuses.values()) > reasons:
        sides.history.violate("grant", "a refresh token was presented again without a reason")


def _nothing_is_left_to_do(sides: Sides) -> None:
    if (lag := sides.broker.lag(older_than_s=60)) > 0:
        sides.history.violate("I1", f"{lag} notices were never committed")
    if project := [row for row in sides.database.projects.all() if row["attention_reason"]]:
        sides.history.violate("I7", f"the project still needs {project[0]['attention_reason']}")
    for look in sides.database.looks.all():
        if look["due_at"] <= sides.now():
            sides.history.violate("I1", f"{look['kind']} {look['procore_id']} was never looked at")
