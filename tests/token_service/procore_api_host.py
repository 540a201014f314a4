"""Procore's REST API as far as the token service calls it, with webhooks that are really kept."""

import json
import re
from typing import Any

import httpx2

from tests.token_service.login_host import Account

COMPANY = {"id": 11, "name": "Builders & Sons", "is_active": True}
PROJECT = {"id": 2**53 + 1, "name": "Tower", "active": True, "project_number": "T-1"}
PROJECT_ID = str(PROJECT["id"])
RESOURCES = [
    {"name": name, "actions": ["create", "update", "delete"]}
    for name in ("RFIs", "RFI Replies", "Submittals", "Submittal Packages")
]
ADMIN = {"id": 4, "name": "Admin"}


class ProcoreHost:
    def __init__(self) -> None:
        self.accounts: dict[str, Account] = {}
        self.hooks: dict[str, dict[str, Any]] = {}
        self.deliveries: list[dict[str, Any]] = []
        self.secrets: dict[str, str] = {}
        self.triggers: dict[str, list[dict[str, str]]] = {}
        self.calls: list[tuple[str, str]] = []
        self.headers: list[httpx2.Headers] = []
        self.installed = True
        self.names_need_a_company = False  # as in earnest; tests of the rest need fewer calls so
        self.down = False
        self.partial_bulk = False
        self.resources = RESOURCES
        self.next_answers: list[httpx2.Response] = []
        self.counts = {"rfis": 40, "submittals": 60}
        self.companies = [COMPANY]
        self.projects = [PROJECT]
        self.manifest: dict[str, Any] = {
            "tools": [
                {"name": "rfi", "available_for_user": True, "user_access_level": ADMIN},
                {
                    "name": "odd_name",
                    "url": "/7/project/submittal_logs",
                    "available_for_user": True,
                    "user_access_level": ADMIN,
                },
            ]
        }

    def answer(self, request: httpx2.Request) -> httpx2.Response:  # noqa: PLR0911 - one a refusal
        if self.down:
            raise httpx2.ConnectError("refused")
        path = request.url.path
        self.calls.append((request.method, path))
        self.headers.append(request.headers)
        if self.next_answers:
            return self.next_answers.pop(0)
        account = self.accounts.get(request.headers.get("authorization", "")[7:])
        if account is None:
            return httpx2.Response(401, json={"errors": ["The access token is invalid"]})
        if path == "/rest/v1.0/me":
            me = {"id": int(account.procore_user_id), "login": account.login}
            named = "company_id" in request.url.params or not self.names_need_a_company
            return httpx2.Response(200, json=me | {"name": (named and account.name) or None})
        if path == "/rest/v1.0/companies":
            return self.paged(request, self.companies)
        if "procore-company-id" not in request.headers:
            return httpx2.Response(400, json={"errors": ["Missing Procore-Company-Id header!"]})
        if not self.installed:
            errors = ["App is not connected to this company."]
            return httpx2.Response(403, json={"errors": errors})
        return self.inside(request, path)

    def inside(self, request: httpx2.Request, path: str) -> httpx2.Response:
        if path == "/rest/v1.1/projects":
            return self.paged(request, self.projects)
        if path == "/rest/v1.0/settings/permissions":
            return httpx2.Response(200, json=self.manifest)
        if path == "/rest/v1.0/submittal_responses":
            return self.paged(request, [{"id": 5, "name": "Approved", "considered": "approved"}])
        if tail := re.search(r"/(rfis|submittals)$", path):
            return httpx2.Response(200, json=[], headers={"total": str(self.counts[tail[1]])})
        if hooks := re.search(r"/webhooks/(.*)$", path):
            return self.webhooks(request, hooks[1])
        return httpx2.Response(404, json={"errors": "not found"})

    def paged(self, request: httpx2.Request, items: list[Any]) -> httpx2.Response:
        page = int(request.url.params.get("page", 1))
        size = int(request.url.params.get("per_page", 10))
        shown = items[(page - 1) * size : page * size]
        return httpx2.Response(200, json=shown, headers={"total": str(len(items))})

    def webhooks(  # noqa: C901, PLR0911 - one an endpoint
        self, request: httpx2.Request, tail: str
    ) -> httpx2.Response:
        body: Any = json.loads(request.content) if request.content else None
        match request.method, tail.split("/"):
            case "GET", ["resources"]:
                return httpx2.Response(200, json={"data": self.resources})
            case "GET", ["hooks"]:
                return httpx2.Response(200, json={"data": list(map(self.masked, self.hooks))})
            case "POST", ["hooks"]:
                if any(hook["namespace"] == body["namespace"] for hook in self.hooks.values()):
                    taken = {"errors": {"namespace": ["has already been taken"]}}
                    return httpx2.Response(400, json=taken)
                hook_id = str(len(self.secrets) + 1)
                self.keep(hook_id, {"status": "active", "id": hook_id}, body)
                self.triggers[hook_id] = []
                return httpx2.Response(201, json={"data": self.masked(hook_id)})
            case "PATCH", ["hooks", hook_id]:
                self.keep(hook_id, self.hooks[hook_id], body)
                return httpx2.Response(200, json={"data": self.masked(hook_id)})
            case "DELETE", ["hooks", hook_id]:
                return httpx2.Response(204 if self.hooks.pop(hook_id, None) else 404)
            case "GET", ["hooks", hook_id, "triggers"]:
                return httpx2.Response(200, json={"data": self.triggers[hook_id]})
            case "GET", ["hooks", hook_id, "deliveries"]:
                wanted = request.url.params["filter[status]"]
                lost = [one for one in self.deliveries if one["status"] == wanted]
                return httpx2.Response(200 if lost else 404, json={"data": lost})
            case "POST", ["hooks", hook_id, "triggers", "bulk"]:
                wanted = body[: len(body) // 2] if self.partial_bulk else body
                self.add_triggers(hook_id, wanted)
                return httpx2.Response(207 if self.partial_bulk else 201, json={"data": []})
            case "POST", ["hooks", hook_id, "triggers"]:
                self.add_triggers(hook_id, [body])
                return httpx2.Response(201, json={"data": {}})
            case _:
                return httpx2.Response(404)

    def keep(self, hook_id: str, hook: dict[str, Any], body: dict[str, Any]) -> None:
        headers = body.pop("destination_headers", None)
        if headers:
            self.secrets[hook_id] = headers["Authorization"]
        self.hooks[hook_id] = hook | body

    def masked(self, hook_id: str) -> dict[str, Any]:
        shown = "*" * 10 + self.secrets[hook_id][-5:]
        return self.hooks[hook_id] | {"destination_headers": {"Authorization": shown}}

    def add_triggers(self, hook_id: str, wanted: list[dict[str, str]]) -> None:
        self.triggers[hook_id] += [
            one | {"id": str(len(self.triggers[hook_id])), "event_type": one["event_type"].upper()}
            for one in wanted
        ]
