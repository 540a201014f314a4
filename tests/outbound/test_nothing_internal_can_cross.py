"""Of what Part3 holds, only an author's finished answer can reach Procore: its words and its files.

Internal comments, drafts and reviewer steps have no field in any type that gets as far as the
Procore client (`schemas/returns.py`). Here every type is walked that a return is read into and that
a method of the client takes, and every text Part3 could tell is marked and looked for in what
Procore was sent. The lists are the promise: whoever adds a field meets it here, and says why it may
leave.
"""

import ast
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
from sync_worker.outbound.compose import Outgoing, OutgoingFile
from sync_worker.outbound.outside import ProcoreWrites
from tests.outbound.bench import Bench, raising_once
from tests.outbound.samples import AMY, answer_to, file_of, rfi, submittal

OUTBOUND = Path(__file__).parents[2] / "sync_worker" / "outbound"

READ_OF_A_RETURN = {
    "Return": {
        "id",
        "project_id",
        "kind",
        "procore_id",
        "author",
        "returned_at",
        "seen_content_version",
        "state",
        "text",
        "disposition",
        "stamp",
        "files",
        "cover_page",
        "confirmed_despite",
    },
    "Member": {"user_id", "name", "email", "company", "role"},
    "File": {"sha256", "name", "content_type", "size", "procore_id"},
}
"""Types of ours that a return is read into, and their fields."""

LEAVES: dict[type, set[str]] = {
    Outgoing: {"body", "is_html", "files"},
    OutgoingFile: {"sha256", "name", "content_type", "size"},
}
"""What is made of a return to be sent."""

MAY_CROSS = {
    "Place": {"company_id", "project_id"},  # Procore's own ids
    "Attachment": {"id", "name", "url", "content_type", "size"},  # Procore's own, to be read
    "Priority": set[str](),
}
"""Types of ours that a method of the Procore client takes, and their fields."""

INTERNALS = ("comment", "draft", "step", "review", "internal", "note", "private", "history")
PLAIN = (str, int, float, bool, bytes, Path, type(None))
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


def ours_among(kinds: set[type]) -> set[type]:
    """Return the classes of this repository that those classes can hold, themselves among them."""
    return {
        kind
        for kind in reachable(kinds)
        if kind not in PLAIN and kind.__module__.startswith(("schemas", "services", "sync_"))
    }


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
        for kind in ours_among(kinds):
            assert kind.__name__ in MAY_CROSS, f"{name} takes a {kind.__name__}"
            extra = fields_of(kind) - MAY_CROSS[kind.__name__]
            assert not extra, f"{kind.__name__} has {sorted(extra)}, and {name} takes one"


def test_what_a_return_is_read_into_has_no_field_for_anything_internal() -> None:
    read = {kind.__name__: fields_of(kind) for kind in ours_among({Return})}
    assert read == READ_OF_A_RETURN
    named = {field for fields in read.values() for field in fields}
    assert not [field for field in named if any(word in field for word in INTERNALS)]


@pytest.mark.parametrize("kind", LEAVES)
def test_what_leaves_is_the_text_the_files_and_nothing_else(kind: type) -> None:
    assert fields_of(kind) == LEAVES[kind]


def test_what_part3_tells_of_returns_and_teams_is_read_into_those_types_alone() -> None:
    for name in ("fetch_return", "pending_returns"):
        hints = typing.get_type_hints(getattr(Part3, name))
        assert types_in(hints["return"]) - {type(None)} == {Return}
    assert types_in(typing.get_type_hints(Part3.project)["return"]) - {type(None)} == {Project}


def full_of_internals(answer: Return) -> Return:
    """Return an answer as Part3 could tell it: all but its words and files is marked."""
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
    read = msgspec.json.decode(msgspec.json.encode(told), type=Return)
    assert MARK not in repr(read)
    author = {name: f"{name}-{MARK}" for name in ("name", "email", "company")}
    return msgspec.structs.replace(
        read,
        id=f"return-{MARK}",
        project_id=f"project-{MARK}",
        author=msgspec.structs.replace(read.author, **author),
        stamp=f"stamp-{MARK}",
        confirmed_despite=(f"code-{MARK}",),
    )


@pytest.mark.parametrize("record", [rfi(), submittal()], ids=["rfi", "submittal"])
@pytest.mark.parametrize("trouble", ["none", "lost", "answer", "late"])
async def test_nothing_of_a_return_but_its_words_and_files_is_in_any_call_on_procore(
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
    assert "drawing.pdf" in sent
    assert MARK not in sent
    assert MARK not in repr(bench.procore.calls)


def test_only_the_modules_that_deliver_know_the_procore_client() -> None:
    """Reading a return and calling Procore meet in few places, and those are looked at."""
    users = {
        path.name
        for path in OUTBOUND.glob("*.py")
        if any(
            isinstance(node, ast.ImportFrom)
            and node.module == "sync_worker.outbound.outside"
            and any(name.name.startswith("Procore") for name in node.names)
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        )
    }
    assert users == {"assembly.py", "carrying.py", "deliver.py", "proof.py", "sending.py"}


class Note(msgspec.Struct):
    internal: str


@dataclasses.dataclass
class Order:
    notes: dict[str, tuple[Note | None, ...]]


class Letter(msgspec.Struct):
    orders: list[Order]


def test_the_walk_finds_a_type_however_deep_it_hides() -> None:
    found = reachable(types_in(dict[str, Letter]))
    assert {Letter, Order, Note} <= found
    assert fields_of(Order) == {"notes"}
    assert fields_of(Note) == {"internal"}
