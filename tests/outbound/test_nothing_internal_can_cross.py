"""Whatever Part3 holds inside itself has no way to Procore: by type, and in whole deliveries.

Decision 12 of the design: internal comments, drafts and reviewer steps have no field in any type
that can reach the Procore client. Here every type is walked that a method of the client that writes
takes, and every text Part3 could tell is marked and looked for in what Procore was sent.
"""

import dataclasses
import inspect
import typing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from schemas.returns import Member, Project, Return
from services.errors import OutcomeUnknown
from services.part3.client import Part3
from services.procore.client import Procore
from sync_worker.outbound.outside import ProcoreWrites
from tests.outbound.bench import Bench, raising_once
from tests.outbound.samples import AMY, answer_to, file_of, rfi, submittal

MAY_CROSS = {
    "Place": {"company_id", "project_id"},  # Procore's own ids
    "Attachment": {"id", "name", "url", "content_type", "size"},  # Procore's own, to be read
    "Priority": set[str](),
}
"""Types of ours that a method of the Procore client takes, and their fields. Whoever adds one, or
a field to one, says here why it may leave."""

PLAIN = (str, int, float, bool, bytes, Path, type(None))
CARRIES_INTERNALS = ("comment", "draft", "step", "review", "internal", "note", "private", "history")
ALLOWED_WORDS = {"comment", "reviewed"}
"""`comment` is the public one of a submittal's response: the author's finished words."""

MARK = "CANARY-INTERNAL"


def types_in(annotation: Any) -> set[type]:
    """Return every class an annotation names, however deep."""
    arguments = typing.get_args(annotation)
    if arguments:
        found: set[type] = set()
        for one in arguments:
            found |= types_in(one) if not isinstance(one, str | list) else set()
        return found
    return {annotation} if inspect.isclass(annotation) else set()


def fields_of(kind: type) -> set[str]:
    """Return the fields of a struct or dataclass."""
    if issubclass(kind, msgspec.Struct):
        return set(kind.__struct_fields__)
    if dataclasses.is_dataclass(kind):
        return {field.name for field in dataclasses.fields(kind)}
    return set()


def reachable(kinds: set[type]) -> set[type]:
    """Return those classes and all that their fields can hold."""
    known: set[type] = set()
    waiting = set(kinds)
    while waiting:
        kind = waiting.pop()
        known.add(kind)
        hints = typing.get_type_hints(kind) if fields_of(kind) else {}
        for name in fields_of(kind):
            waiting |= types_in(hints[name]) - known
    return known


def taken_by(client: type) -> dict[str, set[type]]:
    """Return what each public method of a client takes, by class."""
    found = {}
    for name, method in inspect.getmembers(client, inspect.isfunction):
        if name.startswith("_"):
            continue
        hints = typing.get_type_hints(method)
        taken = [types_in(hint) for one, hint in hints.items() if one != "return"]
        found[name] = {kind for kinds in taken for kind in kinds}
    return found


@pytest.mark.parametrize("client", [ProcoreWrites, Procore], ids=["protocol", "client"])
def test_what_the_procore_client_takes_is_on_the_list_and_nothing_else(client: type) -> None:
    methods = taken_by(client)
    assert {"post_reply", "respond", "upload"} <= methods.keys()
    for name, kinds in methods.items():
        ours = {
            kind
            for kind in reachable(kinds)
            if kind not in PLAIN and kind.__module__.startswith(("schemas", "services", "sync_"))
        }
        for kind in ours:
            assert kind.__name__ in MAY_CROSS, f"{name} takes a {kind.__name__}"
            extra = fields_of(kind) - MAY_CROSS[kind.__name__]
            assert not extra, f"{kind.__name__} has {sorted(extra)}, and {name} takes one"


def test_no_type_of_part3s_returns_names_anything_internal() -> None:
    for kind in reachable({Return}):
        for field in fields_of(kind) - ALLOWED_WORDS:
            assert not any(word in field for word in CARRIES_INTERNALS), f"{kind.__name__}.{field}"


def test_what_part3_tells_of_returns_and_teams_is_read_into_those_types_alone() -> None:
    for name in ("fetch_return", "pending_returns"):
        hints = typing.get_type_hints(getattr(Part3, name))
        assert types_in(hints["return"]) - {type(None)} == {Return}
    assert types_in(typing.get_type_hints(Part3.project)["return"]) - {type(None)} == {Project}


def full_of_internals(answer: Return) -> Return:
    """Return an answer as Part3 could tell it, with marked internal texts on every level."""
    told: dict[str, Any] = msgspec.to_builtins(answer)
    inside = {
        "internal_comments": [{"text": f"{MARK} he is wrong"}],
        "drafts": [f"{MARK} first try"],
        "reviewer_steps": [{"reviewer": f"{MARK} Sam", "note": f"{MARK} not like that"}],
        "history": {"before": f"{MARK} older words"},
        "private_notes": f"{MARK} call the owner",
    }
    told |= inside
    told["author"] |= inside
    told["files"] = [file | inside for file in told["files"]]
    return msgspec.json.decode(msgspec.json.encode(told), type=Return)


@pytest.mark.parametrize("record", [rfi(), submittal()], ids=["rfi", "submittal"])
@pytest.mark.parametrize("trouble", ["none", "lost", "answer", "late"])
async def test_no_marked_text_of_part3s_inside_is_in_any_call_on_procore(
    record: Any, trouble: str
) -> None:
    drawing = file_of(b"%PDF drawing", "drawing.pdf")
    answer = full_of_internals(answer_to(record, text="The words.", files=(drawing,)))
    bench = Bench(record, answer)
    bench.part3.store(b"%PDF drawing")
    bench.part3.team = (AMY, Member(**msgspec.structs.asdict(AMY) | {"company": MARK}))
    bench.procore.ids["u-owner"] = "9009"
    bench.procore.fault = raising_once(f"write.{trouble}", OutcomeUnknown("cut"))
    for _ in range(40):
        if bench.due_in_s is None:
            break
        _ = await bench.until_due()
        bench.procore.execute_late()
    assert bench.task.state == "delivered"
    sent = repr(bench.procore.received)
    assert "The words." in sent
    assert MARK not in sent
    assert MARK not in repr(bench.procore.calls)


def test_the_walk_finds_a_type_however_deep_it_hides() -> None:
    class Note(msgspec.Struct):
        internal: str

    @dataclasses.dataclass
    class Order:
        notes: dict[str, tuple[Note | None, ...]]

    found = reachable(types_in(list[Order]))
    assert Note in {*found, *types_in(typing.get_type_hints(Order, None, locals())["notes"])}
    assert fields_of(Note) == {"internal"}
