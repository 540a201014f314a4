"""Answer rounds: which of an RFI's states, one after another, begin a new one."""

from typing import Any

import msgspec
import pytest

from sandbox.part3.pages.stages import rounds_of
from services.procore.reading import read_rfi
from sync_worker.inbound.rounds import Rounds, next_rounds, round_of
from sync_worker.inbound.translate import Remembered, translate_rfi
from tests.field.sides import AMY, GUS, PAT, SAM, held, reply, rfi

WITH_GUS: dict[str, Any] = {"ball_in_courts": [GUS]}
CLOSED: dict[str, Any] = {"status": "closed", "ball_in_courts": []}
BOTH: dict[str, Any] = {
    "assignees": [AMY | {"response_required": True}, SAM | {"response_required": True}],
    "ball_in_courts": [AMY, SAM],
}
OPTIONAL: dict[str, Any] = BOTH | {
    "assignees": [AMY | {"response_required": True}, SAM | {"response_required": False}]
}


def lived(*states: dict[str, Any]) -> Rounds:
    """Look at each state in turn, as the worker does."""
    rounds: Rounds = ()
    before: dict[str, Any] | None = None
    for state in states:
        source = read_rfi(state, full=True)
        rounds = next_rounds(rounds, before, source)
        record = translate_rfi(source, {}, {}, Remembered(None, rounds))
        before = msgspec.json.decode(msgspec.json.encode(record))
    return rounds


LIVES: list[tuple[str, list[dict[str, Any]], list[str]]] = [
    # what happens, the states that were seen, how each round began
    ("asked and answered", [rfi(), rfi(reply(AMY, 1), **WITH_GUS)], ["opened"]),
    ("asked again: the ball comes back", [rfi(), rfi(reply(AMY, 1), **WITH_GUS),
     rfi(reply(AMY, 1))], ["opened", "clarification"]),
    ("asked again between two looks", [rfi(), rfi(reply(AMY, 1), reply(GUS, 2))],
     ["opened", "clarification"]),
    ("asked again before it was first seen", [rfi(reply(AMY, 1), reply(GUS, 2))],
     ["opened", "clarification"]),
    ("seen again and again in one state", [rfi(reply(AMY, 1), reply(GUS, 2))] * 3,
     ["opened", "clarification"]),
    ("answered, and the ball has not moved yet", [rfi(), rfi(reply(AMY, 1))], ["opened"]),
    ("the ball to and fro without an answer", [rfi(), rfi(**WITH_GUS), rfi()], ["opened"]),
    ("the trade and the manager talk, no answer yet",
     [rfi(), rfi(reply(PAT, 1), reply(GUS, 2))], ["opened"]),
    ("one of two required has answered", [rfi(**BOTH), rfi(reply(AMY, 1), reply(GUS, 2), **BOTH)],
     ["opened"]),
    ("the required one has answered, the optional one not",
     [rfi(**OPTIONAL), rfi(reply(AMY, 1), reply(GUS, 2), **OPTIONAL)], ["opened", "clarification"]),
    ("closed and reopened", [rfi(reply(AMY, 1), **CLOSED), rfi(reply(AMY, 1))],
     ["opened", "reopened"]),
    ("closed unanswered and reopened", [rfi(**CLOSED), rfi()], ["opened", "reopened"]),
    ("asked again, answered, closed, reopened", [rfi(reply(AMY, 1), **WITH_GUS),
     rfi(reply(AMY, 1)), rfi(reply(AMY, 1), reply(AMY, 2), **CLOSED),
     rfi(reply(AMY, 1), reply(AMY, 2))], ["opened", "clarification", "reopened"]),
    ("removed and restored", [rfi(reply(AMY, 1), **WITH_GUS),
     rfi(reply(AMY, 1), deleted=True, **WITH_GUS), rfi(reply(AMY, 1), **WITH_GUS)], ["opened"]),
    ("asked another, who has not answered", [rfi(reply(AMY, 1), **WITH_GUS),
     rfi(reply(AMY, 1), assignees=[SAM | {"response_required": True}], ball_in_courts=[SAM])],
     ["opened", "clarification"]),
]  # fmt: skip


@pytest.mark.parametrize(("case", "states", "begins"), LIVES)
def test_a_round_begins_when_it_is_asked_again(
    case: str, states: list[dict[str, Any]], begins: list[str]
) -> None:
    assert [one.because for one in lived(*states)] == begins, case


def test_each_reply_stays_in_the_round_it_was_given_in() -> None:
    thread = [reply(AMY, 1), reply(GUS, 2), reply(AMY, 3)]
    states = [rfi(), rfi(thread[0], **WITH_GUS), rfi(*thread[:2]), rfi(*thread, **WITH_GUS)]
    rounds = lived(*states)
    assert [round_of(rounds, str(one["id"])) for one in thread] == [1, 2, 2]
    shown = rounds_of(held(states[-1], rounds=rounds))
    assert [(one.number, one.words) for one in shown] == [
        (1, "opened"),
        (2, "clarification requested"),
    ]
    assert [[one.procore_id for one in part.replies] for part in shown] == [["901"], ["902", "903"]]


def test_a_reply_made_in_procore_or_by_mail_stands_in_the_same_thread() -> None:
    mailed = reply({"id": 88, "name": "Ada Finch"}, 2)
    record = held(rfi(reply(AMY, 1), mailed), ours={"901": "ret_1"})
    ((only,),) = [rounds_of(record)]
    told = [(one.author.name, one.return_id) for one in only.replies]
    assert told == [("Amy Lind", "ret_1"), ("Ada Finch", None)]


def test_one_round_is_not_made_much_of() -> None:
    assert not {"Round", "rounds"} & held(rfi(reply(AMY, 1))).extras.keys()
    assert held(rfi(), rounds=lived(rfi(**CLOSED), rfi())).extras["Round"] == "2, reopened"
