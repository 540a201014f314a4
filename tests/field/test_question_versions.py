"""Question versions: what makes one, what is kept of each, and how the difference reads."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.part3.history import Asked, History, Version
from sandbox.part3.pages.differences import differences, marked
from sandbox.part3.store import Store
from sandbox.part3.wire import File, Record

PROJECT = "prj_1"


@pytest.fixture
def history(tmp_path: Path) -> Iterator[History]:
    store = Store(tmp_path)
    store.run("INSERT INTO projects (id, name, created_at) VALUES (?, 'Harbour', 1)", PROJECT)
    yield History(store)
    store.close()


def a_file(name: str) -> File:
    sha256 = name.encode().hex().rjust(64, "0")
    return File(sha256=sha256, name=name, content_type="application/pdf", size=1, procore_id=name)


def put(question: str = "<p>Four bolts?</p>", *files: str, **more: Any) -> Record:
    fields: dict[str, Any] = {
        "kind": "rfi",
        "procore_id": "14",
        "number": "A-014",
        "title": "Anchor bolts",
        "status": "open",
        "private": False,
        "content_version": f"{question}{files}{more}",
        "question": question,
        "files": tuple(a_file(one) for one in files),
    }
    return Record(**(fields | more))


SIX = "<p>Six bolts?</p>"
COMING: dict[str, Any] = {"extras": {"files_pending": 1}}
HEAD: dict[str, Any] = {"extras": {"thread_pending": True}}
PUTS: list[tuple[str, list[Record], int]] = [
    # what happens, the puts one after another, how many versions there are then
    ("the same again", [put(), put()], 1),
    ("the words change", [put(), put(SIX)], 2),
    ("the words change and change back", [put(), put(SIX), put()], 3),
    ("the title changes", [put(), put(title="Bolts")], 2),
    ("a file is added", [put(SIX, "a"), put(SIX, "a", "b")], 2),
    ("a file is removed", [put(SIX, "a", "b"), put(SIX, "a")], 2),
    ("a file arrives that was on its way", [put(SIX, **COMING), put(SIX, "a")], 1),
    ("an added file arrives in two puts",
     [put(SIX, "a"), put(SIX, "a", **COMING), put(SIX, "a", "b")], 2),
    ("a backfill shows the head first and the whole later", [put(**HEAD), put(files=())], 1),
    ("the head of a list has no files yet", [put(SIX, **HEAD), put(SIX, "a")], 1),
    ("a due date, the ball, a reply: nothing that is answered",
     [put(), put(due_on=None, status="closed"), put(extras={"Location": "Roof"})], 1),
]  # fmt: skip


@pytest.mark.parametrize(("case", "puts", "versions"), PUTS)
def test_a_version_is_made_when_what_is_asked_changes(
    history: History, case: str, puts: list[Record], versions: int
) -> None:
    for record in puts:
        history.note(PROJECT, record)
    assert len(history.versions(PROJECT, "rfi", "14")) == versions, case


def test_every_version_is_kept_and_a_return_names_the_one_it_answered(history: History) -> None:
    history.note(PROJECT, put(content_version="cv-1"))
    history.note(PROJECT, put(content_version="cv-2", status="closed"))
    history.note(PROJECT, put(SIX, content_version="cv-3"))
    kept = history.versions(PROJECT, "rfi", "14")
    assert [(one.number, one.asked.text) for one in kept] == [(1, "<p>Four bolts?</p>"), (2, SIX)]
    seen = [history.version_seen(PROJECT, "rfi", "14", f"cv-{n}") for n in (1, 2, 3, 4)]
    assert seen == [1, 1, 2, None]


READS: list[tuple[str, str, str, str | None]] = [
    ("nothing", "Four bolts", "Four bolts", None),
    ("a word replaced", "Four bolts at C-4", "Six bolts at C-4",
     "<del>Four</del><ins>Six</ins> bolts at C-4"),
    ("words added", "Six bolts", "Six bolts, galvanised",
     "Six <del>bolts</del><ins>bolts, galvanised</ins>"),
    ("words removed", "Six long bolts", "Six bolts", "Six <del>long </del>bolts"),
    ("signs stay signs", "a < b", "a > b", "a <del>&lt;</del><ins>&gt;</ins> b"),
    ("nothing can run", "x", "<script>", "<del>x</del><ins>&lt;script&gt;</ins>"),
]  # fmt: skip


@pytest.mark.parametrize(("case", "old", "new", "reads"), READS)
def test_a_difference_marks_what_was_removed_and_added(
    case: str, old: str, new: str, reads: str | None
) -> None:
    assert marked(old, new) == reads, case


def test_a_difference_tells_of_words_title_files_and_form() -> None:
    def version(number: int, text: str, *files: str, title: str = "Bolts") -> Version:
        asked = Asked(title=title, text=text, files=tuple(a_file(one) for one in files))
        return Version(number=number, since=number, asked=asked)

    last, form, first = differences(
        [
            version(1, "<p>Four bolts</p>", "a"),
            version(2, "<p>Six bolts</p>", "b", title="Anchor bolts"),
            version(3, "<p><b>Six</b> bolts</p>", "b"),
            version(4, "<p>Six bolts</p><p>Galvanised</p>", "b"),
        ],
        is_html=True,
    )
    assert (first.earlier, first.number) == (1, 2)
    assert first.text == "<del>Four</del><ins>Six</ins> bolts"
    assert first.title == "<del>Bolts</del><ins>Anchor bolts</ins>"
    assert first.files == ("Removed: a", "Added: b")
    assert (form.text, form.form_only) == (None, True)
    assert last.text == "Six bolts<ins>\nGalvanised</ins>"
