"""Of what Part3 holds, only an author's finished answer can reach Procore.

Internal comments, drafts and reviewer steps have no field in any type that gets as far as the
Procore client. These lists are the promise: whoever adds a field meets it here.
"""

import ast
from pathlib import Path
from typing import Any

import msgspec
import pytest

from schemas.returns import Member, Return
from sync_worker.outbound.compose import Outgoing, OutgoingFile, compose
from tests.outbound.bench import Bench
from tests.outbound.samples import AMY, answer_to, file_of, rfi, submittal

OUTBOUND = Path(__file__).parents[2] / "sync_worker" / "outbound"

FIELDS_OF_A_RETURN = {
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
}
FIELDS_THAT_LEAVE = {"body", "is_html", "files"}
FIELDS_OF_A_FILE_THAT_LEAVE = {"sha256", "name", "content_type", "size"}
SECRET = "CONFIDENTIAL"


def test_a_return_has_no_field_for_anything_internal() -> None:
    assert set(Return.__struct_fields__) == FIELDS_OF_A_RETURN


def test_what_leaves_is_the_text_the_files_and_nothing_else() -> None:
    assert set(Outgoing.__struct_fields__) == FIELDS_THAT_LEAVE
    assert set(OutgoingFile.__struct_fields__) == FIELDS_OF_A_FILE_THAT_LEAVE


def test_an_internal_comment_in_part3s_answer_is_not_even_read() -> None:
    told: dict[str, Any] = msgspec.to_builtins(answer_to(rfi()))
    told |= {"internal_comments": [SECRET], "draft": SECRET, "reviewer_steps": [{"note": SECRET}]}
    told["author"]["notes"] = SECRET
    read = msgspec.json.decode(msgspec.json.encode(told), type=Return)
    assert SECRET not in repr(read)
    assert SECRET not in repr(compose(read, "P3-7KQ2M9XR4T"))


@pytest.mark.parametrize("record", [rfi(), submittal()], ids=["rfi", "submittal"])
async def test_nothing_of_a_return_but_its_words_and_files_reaches_procore(record: Any) -> None:
    drawing = file_of(b"%PDF drawing", "drawing.pdf")
    answer = answer_to(
        record,
        id="return-CONFIDENTIAL",
        project_id="project-CONFIDENTIAL",
        author=Member(
            user_id=AMY.user_id,
            name="name-CONFIDENTIAL",
            email="email-CONFIDENTIAL",
            company="company-CONFIDENTIAL",
            role="prime_consultant",
        ),
        stamp="stamp-CONFIDENTIAL",
        confirmed_despite=("code-CONFIDENTIAL",),
        text="The words.",
        files=(drawing,),
    )
    bench = Bench(record, answer)
    bench.part3.store(b"%PDF drawing")
    await bench.attempt()
    assert bench.task.state == "delivered"
    received = repr(bench.procore.received)
    assert "The words." in received
    assert "drawing.pdf" in received
    assert SECRET not in received


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
