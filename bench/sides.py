"""Procore, Part3 and the token service for the benchmarks: they answer at once, and keep count.

Only what a worker reads and writes of projects that nothing goes wrong in: a benchmark measures the
worker, and a faithful stand-in would take most of the machine. They are one ASGI application, in
the process of the benchmark itself, which changes records and hears of puts without a call.
"""

import asyncio
import json
import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from urllib.parse import parse_qs

import msgspec

from schemas.connections import AccessToken, Authorization, Authorizations, Connection
from services.http_exchange import Receive, Scope, Send

Kind = Literal["rfi", "submittal"]
PER_PAGE = 100
COMPANY = "4264100"
ROUTE = re.compile(
    r"/rest/v1\.[01]/projects/(?P<home>\d+)/(?P<list>rfis|submittals)(?:/(?P<id>\w+))?"
    r"|/v1/projects/(?P<project>[\w-]+)(?:/(?P<part>[\w:-]+)(?:/(?P<kind>\w+)/(?P<record>\w+))?)?"
    r"(?P<more>/readiness)?"
    r"|/internal/(?P<internal>[\w-]+)(?:/(?P<connection>[\w-]+)(?:/(?P<of>\w+))?)?"
)
LISTS: dict[str, Kind] = {"rfis": "rfi", "submittals": "submittal"}
NOTHING_TO_TELL = ("/rest/v1.0/submittal_responses", "/rest/v1.0/settings/permissions")
NEVER = b'{"title": "Not found", "status": 404}'
Answer = tuple[int, bytes, list[tuple[bytes, bytes]]]


@dataclass
class Project:
    """A connected project of two lists, its records numbered from 1."""

    number: int
    records: int
    titles: dict[tuple[Kind, str], tuple[str, datetime]] = field(default_factory=dict)

    @property
    def part3_id(self) -> str:
        return f"prj_{self.number}"

    @property
    def procore_id(self) -> str:
        return str(9_000_000 + self.number)

    @property
    def owner(self) -> str:
        return f"usr_{self.number}"


class Sides:
    """All three sides.

    Attributes:
        calls: how many of each kind of call were answered.
        shown: told each record that Part3 is given: project, kind, id, title.
        procore_s: how long Procore takes for an answer.
        part3_s: how long Part3 takes for one.
    """

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.shown: Callable[[str, str, str, str], None] = lambda *_: None
        self.procore_s = 0.0
        self.part3_s = 0.0
        self._projects: dict[str, Project] = {}
        self._held: dict[str, dict[tuple[str, str], dict[str, Any]]] = {}
        self._begun_at = datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)
        self._connected: list[Project] = []

    def add(self, project: Project, *, connected: bool = True) -> None:
        """Have one more project; `connected`: the token service tells of it."""
        self._projects[project.procore_id] = project
        if connected:
            self._connected.append(project)

    def change(self, project: Project, kind: Kind, record_id: str, title: str) -> datetime:
        """Change a record's title in Procore; return when, by Procore's clock."""
        now = datetime.now(UTC)
        project.titles[kind, record_id] = (title, now.replace(microsecond=0))
        return now

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        body = b""
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        status, answer, headers = await self._answer(scope, body)
        head = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(answer)),
            *headers,
        ]
        await send({"type": "http.response.start", "status": status, "headers": head})
        await send({"type": "http.response.body", "body": answer})

    async def _answer(self, scope: Scope, body: bytes) -> Answer:
        if scope["path"] in NOTHING_TO_TELL:
            return 200, b"[]", []
        found = ROUTE.fullmatch(scope["path"])
        if found is None:
            self.calls[f"unknown {scope['path']}"] += 1
            return 404, NEVER, []
        asked = parse_qs(scope["query_string"].decode())
        if found["home"]:
            if self.procore_s:
                await asyncio.sleep(self.procore_s)
            return self._procore(found, asked)
        if found["project"]:
            if self.part3_s:
                await asyncio.sleep(self.part3_s)
            return self._part3(scope["method"], found, asked, body)
        return self._token_service(found, asked, body)

    # ------------------------------------------------------------------ Procore

    def _procore(self, found: re.Match[str], asked: dict[str, list[str]]) -> Answer:
        project, kind = self._projects[found["home"]], LISTS[found["list"]]
        if found["id"] == "recycle_bin":
            self.calls[f"{kind} bin"] += 1
            return 200, b"[]", []
        if found["id"]:
            self.calls[f"{kind} read"] += 1
            return 200, self._written(project, kind, found["id"]), []
        if ids := asked.get("filters[id][]"):
            self.calls[f"{kind} read"] += 1
            return 200, self._list(project, kind, ids), []
        self.calls[f"{kind} page"] += 1
        since = asked.get("filters[updated_at]", [""])[0].partition("...")[0]
        if since:
            changed = datetime.fromisoformat(since)
            ids = [
                one for (of, one), (_, at) in project.titles.items() if of == kind and at >= changed
            ]
        else:
            ids = [str(number) for number in range(1, project.records + 1)]
        first = (int(asked["page"][0]) - 1) * PER_PAGE
        headers = [(b"total", b"%d" % len(ids))]
        if first + PER_PAGE < len(ids):
            headers.append((b"link", b'<next>; rel="next"'))
        return 200, self._list(project, kind, ids[first : first + PER_PAGE]), headers

    def _list(self, project: Project, kind: Kind, ids: list[str]) -> bytes:
        return b"[" + b",".join(self._written(project, kind, one) for one in ids) + b"]"

    def _written(self, project: Project, kind: Kind, record_id: str) -> bytes:
        title, at = project.titles.get(
            (kind, record_id), (f"As built, detail {record_id}", self._begun_at)
        )
        architect = {"id": 71, "name": "Maya Lindqvist", "login": "maya@lindqvist.example"}
        manager = {"id": 70, "name": "Dana Whitfield", "login": "dana@northbridge.example"}
        common: dict[str, Any] = {
            "id": int(record_id),
            "number": record_id,
            "updated_at": at.isoformat(),
            "created_at": self._begun_at.isoformat(),
            "due_date": "2026-12-18",
        }
        if kind == "rfi":
            answers = [
                {
                    "id": 10 * int(record_id) + place,
                    "body": "<p>See the revised detail on sheet A-501, which holds here too.</p>",
                    "created_by": "Maya Lindqvist",
                    "created_by_id": 71,
                    "answer_date": self._begun_at.isoformat(),
                    "official": False,
                    "attachments": [],
                }
                for place in (1, 2)
            ]
            question = {
                "id": 5 * int(record_id),
                "body": "<p>How is the parapet to be flashed where it meets the curtain wall?</p>",
                "answers": answers,
                "attachments": [],
            }
            return json.dumps(
                common
                | {
                    "subject": title,
                    "status": "open",
                    "questions": [question],
                    "rfi_manager": manager,
                    "assignees": [architect | {"response_required": True}],
                    "ball_in_courts": [architect],
                    "ball_in_court": architect,
                }
            ).encode()
        approver = {
            "id": 3 * int(record_id),
            "user": architect,
            "workflow_group_number": 1,
            "response": {"name": "Pending", "considered": "pending"},
            "attachments": [],
        }
        return json.dumps(
            common
            | {
                "title": title,
                "status": {"name": "Open", "status": "Open"},
                "submittal_manager": manager,
                "approvers": [approver],
                "ball_in_court": [architect],
                "attachments": [],
            }
        ).encode()

    # -------------------------------------------------------------------- Part3

    def _part3(
        self, method: str, found: re.Match[str], asked: dict[str, list[str]], body: bytes
    ) -> Answer:
        project_id, part = found["project"], found["part"]
        if part is None:
            self.calls["team read"] += 1
            return 200, b'{"id":"%b","name":"Bench","team":[]}' % project_id.encode(), []
        if part == "records:batch":
            self.calls["records put at once"] += 1
            records = msgspec.json.decode(body)["records"]
            results = [self._stored(project_id, one) for one in records]
            return 200, msgspec.json.encode({"results": results}), []
        if found["more"]:
            self.calls["readiness told"] += 1
            return 204, b"", []
        if method == "PUT" and part == "records":
            self.calls["record put"] += 1
            stored = self._stored(project_id, msgspec.json.decode(body))
            return 200, msgspec.json.encode(stored), []
        self.calls[f"{part} asked"] += 1
        if part == "records":
            return 200, self._page_of_records(project_id, asked), []
        return 200, b'{"items":[],"next_cursor":null}', []

    def _page_of_records(self, project_id: str, asked: dict[str, list[str]]) -> bytes:
        kind = asked.get("kind", [None])[0]
        held = [
            one for (of, _), one in self._held.get(project_id, {}).items() if kind in (None, of)
        ]
        first = int(asked.get("cursor", ["0"])[0])
        after = first + int(asked.get("limit", ["200"])[0])
        more = str(after) if after < len(held) else None
        return msgspec.json.encode({"items": held[first:after], "next_cursor": more})

    def _stored(self, project_id: str, record: dict[str, Any]) -> dict[str, Any]:
        kind, record_id = record["kind"], record["procore_id"]
        held = self._held.setdefault(project_id, {})
        version = int(held.get((kind, record_id), {"version": "0"})["version"]) + 1
        self.shown(project_id, kind, record_id, record["title"])
        at = datetime.now(UTC).isoformat()
        stored = record | {"id": record_id, "version": str(version), "updated_at": at}
        held[kind, record_id] = stored
        return stored

    # ------------------------------------------------------------ token service

    def _token_service(
        self, found: re.Match[str], asked: dict[str, list[str]], body: bytes
    ) -> Answer:
        what = found["internal"]
        self.calls[f"{what} {found['of'] or ''}".strip()] += 1
        if what == "access-tokens":
            user_id = msgspec.json.decode(body)["user_id"]
            token = AccessToken(
                access_token=f"token-of-{user_id}",
                expires_at=datetime.now(UTC) + timedelta(minutes=90),
                procore_user_id="70",
            )
            return 200, msgspec.json.encode(token), []
        if what == "authorizations":
            users = msgspec.json.decode(body)["user_ids"]
            items = tuple(Authorization(user_id=one, authorized_at=self._begun_at) for one in users)
            return 200, msgspec.json.encode(Authorizations(items=items)), []
        if found["of"] == "hook":
            return 200, b'{"state":"ok"}', []
        if what == "connections" and not found["connection"]:
            since = asked.get("updated_after", [""])[0].replace(" ", "+")
            known = datetime.fromisoformat(since) if since else None
            all_of_them = [self._connection(one) for one in self._connected]
            told = [one for one in all_of_them if known is None or one.updated_at > known]
            return 200, msgspec.json.encode({"items": told, "next_cursor": None}), []
        return 404, NEVER, []

    def _connection(self, project: Project) -> Connection:
        return Connection(
            project_id=project.part3_id,
            state="active",
            procore_company_id=COMPANY,
            procore_project_id=project.procore_id,
            owner_user_id=project.owner,
            updated_at=self._begun_at + timedelta(minutes=project.number),
        )


def hook_body(project: Project, kind: Kind, record_id: str, at: datetime) -> dict[str, str]:
    """Return Procore's v4.0 payload of a change."""
    return {
        "id": f"01JE{time.time_ns():022d}",
        "timestamp": at.isoformat(),
        "reason": "update",
        "company_id": COMPANY,
        "project_id": project.procore_id,
        "user_id": "70",
        "resource_type": "RFIs" if kind == "rfi" else "Submittals",
        "resource_id": record_id,
    }
