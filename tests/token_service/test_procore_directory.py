from typing import Any

import httpx2
import pytest

from services.errors import ConnectorError, NeedsPerson, TryLater
from tests.token_service.conftest import ANNA, Running
from tests.token_service.login_host import LoginHost
from tests.token_service.procore_api_host import COMPANY, PROJECT_ID, ProcoreHost
from token_service.connections.procore_directory import tool_access
from token_service.public.ports import Procore, RecordCounts, ToolAccess


@pytest.fixture
async def directory(running: Running, login: LoginHost) -> Procore:
    await running.grant("anna", ANNA, login)
    return running.services.desk.ports.procore


async def test_what_a_person_sees(directory: Procore) -> None:
    assert [c.name for c in await directory.companies("anna")] == ["Builders & Sons"]
    (project,) = await directory.projects("anna", "11")
    assert (project.id, project.number) == ("9007199254740993", "T-1")
    assert list(await directory.tools("anna", "11", PROJECT_ID)) == [
        ToolAccess("rfis", enabled=True, level="Admin"),
        ToolAccess("submittals", enabled=True, level="Admin"),
    ]
    assert await directory.counts("anna", "11", PROJECT_ID) == RecordCounts(40, 60)
    (response,) = await directory.responses("anna", "11", PROJECT_ID)
    assert (response.id, response.considered) == ("5", "approved")


async def test_long_lists_are_read_to_their_end(directory: Procore, procore: ProcoreHost) -> None:
    procore.companies = [COMPANY | {"id": n, "name": f"C{n}"} for n in range(1, 251)]
    assert len(await directory.companies("anna")) == 250


async def test_what_is_not_active_is_not_offered(directory: Procore, procore: ProcoreHost) -> None:
    procore.companies = [COMPANY | {"is_active": False}]
    procore.projects = [{"id": 1, "name": "Gone", "active": False}]
    assert list(await directory.companies("anna")) == []
    assert list(await directory.projects("anna", "11")) == []


@pytest.mark.parametrize(
    ("answer", "kind", "reason"),
    [
        (httpx2.Response(403, json={"errors": ["App is not connected to this company."]}),
         NeedsPerson, "app_not_installed"),
        (httpx2.Response(403, json={"message": "no"}), NeedsPerson, "not_permitted"),
        (httpx2.Response(404, json={"errors": "x"}), NeedsPerson, "not_permitted"),
        (httpx2.Response(400, json={}), NeedsPerson, "refused_by_procore"),
        (httpx2.Response(502, content=b"<html>"), TryLater, "procore_down"),
        (httpx2.Response(429, headers={"retry-after": "30"}), TryLater, "rate_limited"),
    ],
)  # fmt: skip
async def test_refusals_are_sorted(
    directory: Procore,
    procore: ProcoreHost,
    answer: httpx2.Response,
    kind: type[ConnectorError],
    reason: str,
) -> None:
    procore.next_answers = [answer]
    with pytest.raises(kind) as caught:
        await directory.projects("anna", "11")
    assert isinstance(caught.value, NeedsPerson | TryLater)
    assert caught.value.reason == reason


async def test_after_a_429_nothing_is_asked_until_its_end(
    directory: Procore, procore: ProcoreHost
) -> None:
    procore.next_answers = [httpx2.Response(429, headers={"retry-after": "30"})]
    for _ in range(3):
        with pytest.raises(TryLater):
            await directory.projects("anna", "11")
    assert len(procore.calls) == 1


async def test_a_401_renews_the_token_once(
    directory: Procore, procore: ProcoreHost, login: LoginHost
) -> None:
    login.access_tokens.clear()
    assert len(await directory.companies("anna")) == 1
    assert login.redemptions == 1
    procore.next_answers = [httpx2.Response(401), httpx2.Response(401)]
    with pytest.raises(NeedsPerson) as caught:
        await directory.companies("anna")
    assert caught.value.reason == "needs_reauthorization"


ADMIN, STANDARD = {"id": 4, "name": "Admin"}, {"id": 3, "name": "Standard"}


@pytest.mark.parametrize(
    ("tools", "expected"),
    [
        ([], []),
        ([{"name": "documents", "user_access_level": ADMIN}], []),
        ([{"name": "RFIs", "user_access_level": STANDARD}], [("rfis", True, "Standard")]),
        ([{"name": "rfi", "user_access_level": None}], [("rfis", True, "None")]),
        ([{"name": "rfi", "user_access_level": "Admin"}], [("rfis", True, "Admin")]),
        ([{"name": "x", "url": "/1/project/rfi/list?a=b"}], []),
        ([{"name": "x", "url": "/1/project/rfi?a=b"}], [("rfis", True, "None")]),
        ([{"name": "submittal_log", "available_for_user": False, "user_access_level": ADMIN}],
         [("submittals", False, "Admin")]),
        ([{"name": "rfi", "available_for_user": False},
          {"name": "rfis", "user_access_level": ADMIN}],
         [("rfis", True, "Admin")]),
        (["odd", None, 7], []),
    ],
)  # fmt: skip
def test_the_manifest_is_read(tools: list[Any], expected: list[tuple[Any, ...]]) -> None:
    found = tool_access({"tools": tools})
    assert [(one.tool, one.enabled, one.level) for one in found] == expected


@pytest.mark.parametrize("manifest", [None, [], "x", {}, {"tools": None}])
def test_an_odd_manifest_names_no_tool(manifest: Any) -> None:
    assert tool_access(manifest) == []
