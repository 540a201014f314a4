"""Private records: who sees them, asked anew at every change; and turning it off is no reveal."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.part3.history import History
from sandbox.part3.pages.words import may_see
from sandbox.part3.store import Store
from sandbox.part3.wire import Record
from tests.field.sides import AMY, GUS, PAT, SAM, held, member, reply, rfi, step, submittal

ADA: dict[str, Any] = {"id": 51, "name": "Ada Finch", "login": "ada@owner.example"}
PRIVATE: dict[str, Any] = {"private": True}

CASES: list[tuple[str, dict[str, Any], dict[str, Any], bool]] = [
    # what it is, in Procore, who looks, whether they see it
    ("an RFI that is not private", rfi(), SAM, True),
    ("private: the assignee", rfi(**PRIVATE), AMY, True),
    ("private: the RFI Manager", rfi(**PRIVATE), GUS, True),
    ("private: another consultant", rfi(**PRIVATE), SAM, False),
    ("private: who received the ball", rfi(**PRIVATE, ball_in_courts=[SAM]), SAM, True),
    ("private: who asked", rfi(**PRIVATE, received_from=PAT), PAT, True),
    ("private: who wrote it", rfi(**PRIVATE, created_by=PAT), PAT, True),
    ("private: on the distribution list", rfi(**PRIVATE, distribution_list=[ADA]), ADA, True),
    ("private: who is on no list", rfi(**PRIVATE), ADA, False),
    ("private: reassigned to Sam, Amy is out",
     rfi(**PRIVATE, assignees=[SAM], ball_in_courts=[SAM]), AMY, False),
    ("private: reassigned to Sam, who is in now",
     rfi(**PRIVATE, assignees=[SAM], ball_in_courts=[SAM]), SAM, True),
    ("private submittal: an approver", submittal(**PRIVATE), AMY, True),
    ("private submittal: the submitter", submittal(**PRIVATE), PAT, True),
    ("private submittal: another consultant", submittal(**PRIVATE), SAM, False),
    ("private submittal: forwarded to Sam",
     submittal(step(3, AMY, "forwarded for review"), step(3, SAM), **PRIVATE), SAM, True),
    ("private submittal: on the distribution list",
     submittal(**PRIVATE, distribution_members=[ADA]), ADA, True),
]  # fmt: skip


@pytest.mark.parametrize(("case", "procore", "who", "sees"), CASES)
def test_a_private_record_is_for_its_participants(
    case: str, procore: dict[str, Any], who: dict[str, Any], *, sees: bool
) -> None:
    assert may_see(held(procore), member(who), (), returned=False) is sees, case


@pytest.fixture
def history(tmp_path: Path) -> Iterator[History]:
    store = Store(tmp_path)
    store.run("INSERT INTO projects (id, name, created_at) VALUES ('prj_1', 'Harbour', 1)")
    yield History(store)
    store.close()


SHUT, OPENED = rfi(**PRIVATE), rfi()
WRITTEN = rfi(reply(AMY, 1), **PRIVATE)
CHECK = "somebody who takes part shows it to the whole team"
LIVES: list[tuple[str, list[Any], bool]] = [
    # what happens to it, the puts and checks one after another, whether Sam sees it then
    ("never private", [OPENED], True),
    ("turned on hides at once", [OPENED, SHUT], False),
    ("turned off reveals nothing by itself", [OPENED, SHUT, WRITTEN, OPENED], False),
    ("private from the beginning, turned off", [SHUT, OPENED], False),
    ("turned off and checked", [OPENED, SHUT, OPENED, CHECK], True),
    ("checked while it is private changes nothing", [SHUT, CHECK], False),
    ("turned off, checked, and changed since", [SHUT, OPENED, CHECK, OPENED], True),
    ("turned on again after a check", [SHUT, OPENED, CHECK, SHUT, OPENED], False),
]


@pytest.mark.parametrize(("case", "happens", "sam_sees"), LIVES)
def test_what_was_written_while_private_waits_for_a_check(
    history: History, case: str, happens: list[Any], *, sam_sees: bool
) -> None:
    record: Record = held(OPENED)
    for event in happens:
        if event is CHECK:
            history.lift_veil("prj_1", "rfi", "14", "usr_amy")
        else:
            record = held(event)
            history.note("prj_1", record)
    veiled = history.veiled("prj_1", "rfi", "14")
    assert may_see(record, member(SAM), (), returned=False, veiled=veiled) is sam_sees, case
    assert may_see(record, member(AMY), (), returned=False, veiled=veiled), case
