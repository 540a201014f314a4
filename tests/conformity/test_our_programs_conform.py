"""Our programs answer nothing that the documents we hand out do not describe."""

from collections import Counter

import pytest

from schemas.documents import openapi
from tests.conformity.asking import ask
from tests.conformity.contracts import Document, knowing, knowing_in_bodies, operations
from tests.conformity.our_programs import (
    PROJECTS,
    USERS,
    Authentic,
    gateway,
    internal,
    observed,
    service_callers,
)
from tests.gateway.stage import FakeKafka

NOBODY: list[dict[str, str]] = [{}]


def asked_of(document: Document) -> list[tuple[str, str]]:
    return [(path, method) for path, method, _ in operations(document)]


@pytest.mark.parametrize("away", [False, True])
@pytest.mark.parametrize(("path", "method"), asked_of(openapi.gateway()))
def test_the_gateway_answers_its_senders_as_described(
    path: str, method: str, *, away: bool
) -> None:
    app = Authentic(gateway(FakeKafka(away=away)), signing=True)
    answered = ask(openapi.gateway(), app, path, method, callers=NOBODY)
    if method == "post":
        wanted = 503 if away else 202 if "part3" in path else 204
        assert wanted in answered, Counter(answered)


@pytest.mark.parametrize("path", ["/procore/{project_id}/{generation}", "/part3/events"])
def test_the_gateway_answers_strangers_as_described(path: str) -> None:
    kafka = FakeKafka()
    app = Authentic(gateway(kafka), signing=False)
    answered = ask(openapi.gateway(), app, path, "post", callers=NOBODY)
    assert set(answered) <= {401, 404}, Counter(answered)
    assert kafka.written == []


def told(document: Document) -> Document:
    """The internal port's document, asking about who and what its fakes know."""
    for schema in document["components"]["schemas"].values():
        knowing_in_bodies(schema, {"user_id": list(USERS), "user_ids": list(USERS)})
    names: dict[str, list[object]] = {
        "project_id": list(PROJECTS),
        "cursor": ["1"],
        "updated_after": ["2026-01-01T00:00:00Z"],
    }
    return knowing(document, lambda _, name: names.get(name))


@pytest.mark.parametrize(("path", "method"), asked_of(openapi.internal()))
def test_the_internal_port_answers_as_described(path: str, method: str) -> None:
    document, app = told(openapi.internal()), internal()
    answered = ask(document, app, path, method, callers=service_callers(), examples=30)
    assert 200 in answered, Counter(answered)
    if path.startswith("/internal/"):
        assert 401 in answered, Counter(answered)


@pytest.mark.parametrize("away", [False, True])
@pytest.mark.parametrize(("path", "method"), asked_of(openapi.operations()))
def test_health_and_metrics_answer_as_described(path: str, method: str, *, away: bool) -> None:
    app = observed(away=away)
    answered = ask(openapi.operations(), app, path, method, callers=NOBODY, examples=4)
    assert set(answered) == {503 if away and path != "/metrics" else 200}


def test_every_route_of_the_internal_port_is_described() -> None:
    app = internal()
    routes = {
        (route.path, method.lower())
        for route in app.routes  # type: ignore[attr-defined] # it is a Starlette
        for method in route.methods
        if method != "HEAD"
    }
    assert routes == set(asked_of(openapi.internal()))
