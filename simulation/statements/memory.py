"""What a delivery remembers: earlier returns, versions that were seen, uploads, the install key."""

from typing import Any

from simulation.database import Database, Row, answers
from sync_worker.outbound import carrying, marker, memory, put_notes, versions


@answers(memory.OURS)
def ours(db: Database, project_id: str, kind: str, procore_id: str) -> list[Row]:
    return [
        {"remote_id": row["remote_id"]}
        for row in db.deliveries.all()
        if (row["project_id"], row["kind"], row["procore_id"]) == (project_id, kind, procore_id)
        and row["remote_id"] is not None
    ]


@answers(memory.RECORD_WORDS)
def record_words(db: Database, project_id: str, kind: str, procore_id: str) -> list[Row]:
    row = db.records.get((project_id, kind, procore_id))
    return [] if row is None else [{"number": row["number"], "title": row["title"]}]


@answers(marker.KEEP_INSTALL_KEY)
def keep_install_key(db: Database, key: bytes) -> list[Row]:
    if db.install.get(True) is None:
        db.install.put(True, {"one": True, "install_key": key})
    return []


@answers(marker.READ_INSTALL_KEY)
def read_install_key(db: Database) -> list[Row]:
    return [{"install_key": row["install_key"]} for row in db.install.all()]


@answers(versions.NOTE_VERSION)
def note_version(
    db: Database,
    project_id: str,
    kind: str,
    procore_id: str,
    content_version: str,
    answerable: Any,
    answered: Any,
    said: Any,
) -> list[Row]:
    key = (project_id, kind, procore_id, content_version)
    if db.seen_versions.get(key) is None:
        db.seen_versions.put(
            key,
            {"answerable": answerable, "answered": answered, "said": said, "noted_at": db.now},
        )
    return []


@answers(versions.SEEN_VERSION)
def seen_version(
    db: Database, project_id: str, kind: str, procore_id: str, content_version: str
) -> list[Row]:
    row = db.seen_versions.get((project_id, kind, procore_id, content_version))
    names = ("answerable", "answered", "said")
    return [] if row is None else [{name: row[name] for name in names}]


@answers(put_notes.NOTE_TURNS)
def note_turns(db: Database, project_id: str, kind: str, procore_id: str, turns: Any) -> list[Row]:
    key = (project_id, kind, procore_id)
    row = db.readiness.get(key)
    if row is None:
        db.readiness.put(key, {"turns": turns, "pushed": None, "asked": 1, "due_at": db.now})
    else:
        db.readiness.change(key, turns=turns, due_at=db.now, asked=row["asked"] + 1)
    return []


@answers(carrying.KNOWN_UPLOAD)
def known_upload(db: Database, return_id: str, sha256: str, name: str) -> list[Row]:
    row = db.uploads.get((return_id, sha256, name))
    if row is None or not row["uploaded_at"] > db.after(-86_400):
        return []
    return [{"upload_uuid": row["upload_uuid"]}]


@answers(carrying.NOTE_UPLOAD)
def note_upload(db: Database, return_id: str, sha256: str, name: str, uuid: str) -> list[Row]:
    db.uploads.put((return_id, sha256, name), {"upload_uuid": uuid, "uploaded_at": db.now})
    return []


@answers(memory.EARLIER)
def earlier(
    db: Database, project_id: str, procore_id: str, author_user_id: str, return_id: str
) -> list[Row]:
    found = []
    for row in db.sealed_answers.all():
        of = (row["project_id"], row["kind"], row["procore_id"], row["author_user_id"])
        if of != (project_id, "rfi", procore_id, author_user_id) or row["return_id"] == return_id:
            continue
        found += [
            {
                "remote_id": row["remote_id"],
                "sealed_at": row["sealed_at"],
                "marker": intent["marker"],
                "return_id": row["return_id"],
            }
            for intent in db.write_intents.all()
            if (intent["return_id"], intent["remote_id"]) == (row["return_id"], row["remote_id"])
        ]
    found.sort(key=lambda row: row["return_id"])
    found.sort(key=lambda row: row["sealed_at"], reverse=True)
    names = ("remote_id", "sealed_at", "marker")
    return [{name: row[name] for name in names} for row in found[:1]]


@answers(memory.NEWER)
def newer(db: Database, project_id: str, kind: str, procore_id: str) -> list[Row]:
    return [
        {"kind": row["kind"], "number": row["number"], "revision": row["record"].get("revision")}
        for row in db.records.all()
        if (row["project_id"], row["kind"]) == (project_id, kind)
        and row["record"] is not None
        and row["record"].get("previous_revision") == procore_id
    ][:1]


@answers(memory.WRITES_LATELY)
def writes_lately(
    db: Database, project_id: str, kind: str, procore_id: str, minutes: int
) -> list[Row]:
    returns = {
        row["return_id"]
        for row in db.deliveries.all()
        if (row["project_id"], row["kind"], row["procore_id"]) == (project_id, kind, procore_id)
    }
    since = db.after(-60 * minutes)
    sent = [
        row["sends"]
        for row in db.write_intents.all()
        if row["return_id"] in returns and row["sent_at"] is not None and row["sent_at"] > since
    ]
    return [{"sends": sum(sent)}]


@answers(memory.ROUNDS)
def rounds(db: Database, project_id: str, procore_id: str) -> list[Row]:
    row = db.records.get((project_id, "rfi", procore_id))
    return [] if row is None else [{"rounds": row["rounds"]}]
