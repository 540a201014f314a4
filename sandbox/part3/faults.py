"""Faults on demand, drawn from a seeded generator so that a run can be had again.

A rule speaks of API calls (`on: api`) or of events to the gateway (`on: event`):

- api: `latency` (ms), `status` (status, `when` before or after the effect), `cut` (the connection
  is closed without an answer, before or after the effect)
- event: `latency` (ms), `drop`, `duplicate` (copies), `reorder` (held back for ms while later ones
  pass)
"""

import asyncio
import random
import re
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sandbox.part3.problems import Problem


class Rule(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    on: Literal["api", "event"]
    fault: Literal["latency", "status", "cut", "drop", "duplicate", "reorder"]
    probability: Annotated[float, Meta(ge=0, le=1)] = 1.0
    times: int | None = None  # how often it may still strike; None: without end
    ms: Annotated[int, Meta(ge=0)] = 1000
    status: Annotated[int, Meta(ge=400, le=599)] = 503
    retry_after_s: int | None = None
    when: Literal["before", "after"] = "before"
    copies: Annotated[int, Meta(ge=2, le=100)] = 2
    method: str | None = None
    path: str | None = None  # a regular expression that is found in the path
    event: str | None = None  # an event type


API_FAULTS = {"latency", "status", "cut"}
EVENT_FAULTS = {"latency", "drop", "duplicate", "reorder"}


class Orders(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What POST /_sandbox/faults takes: the whole set of rules, replacing what was there."""

    rules: list[Rule] = []
    seed: int = 0


class Faults:
    def __init__(self) -> None:
        self.orders = Orders()
        self._chance = random.Random(0)

    def set(self, orders: Orders) -> None:
        for rule in orders.rules:
            allowed = API_FAULTS if rule.on == "api" else EVENT_FAULTS
            if rule.fault not in allowed:
                raise Problem(422, f"{rule.fault} is no fault of {rule.on}: {sorted(allowed)}")
            try:
                re.compile(rule.path or "")
            except re.error as error:
                raise Problem(422, f"path {rule.path!r} is no regular expression") from error
        self.orders = orders
        self._chance = random.Random(orders.seed)

    def _strike(self, rule: Rule) -> bool:
        if rule.times == 0 or self._chance.random() >= rule.probability:
            return False
        if rule.times is not None:
            rule.times -= 1
        return True

    def for_event(self, event_type: str) -> Rule | None:
        """The first rule that strikes this event, if any."""
        for rule in self.orders.rules:
            meant = rule.on == "event" and rule.event in (None, event_type)
            if meant and self._strike(rule):
                return rule
        return None

    def for_call(self, method: str, path: str) -> list[Rule]:
        """Every rule that strikes this call: one may slow it down and another cut it."""
        return [
            rule
            for rule in self.orders.rules
            if rule.on == "api"
            and rule.method in (None, method)
            and re.search(rule.path or "", path)
            and self._strike(rule)
        ]


class FaultyCalls:
    """ASGI layer around the API: does to a call what the rules say. Outermost, to cut for real."""

    def __init__(self, app: ASGIApp, faults: Faults, prefix: str) -> None:
        self._app = app
        self._faults = faults
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(self._prefix):
            await self._app(scope, receive, send)
            return
        rules = self._faults.for_call(scope["method"], scope["path"])
        for rule in rules:
            if rule.fault == "latency":
                await asyncio.sleep(rule.ms / 1000)
        ending = next((rule for rule in rules if rule.fault != "latency"), None)
        if ending is None:
            await self._app(scope, receive, send)
            return
        if ending.when == "after":
            await self._app(scope, receive, _swallow)
        if ending.fault == "cut":
            await _cut(send, receive)
        else:
            await _answer(send, ending)


async def _swallow(_: Message) -> None:
    """The effect happens, its answer is lost."""


async def _answer(send: Send, rule: Rule) -> None:
    retry = rule.retry_after_s
    headers: list[tuple[bytes, bytes]] = [(b"content-type", b"application/problem+json")]
    if retry is not None:
        headers.append((b"retry-after", str(retry).encode()))
    body: dict[str, Any] = {"title": "A fault on demand", "status": rule.status}
    await send({"type": "http.response.start", "status": rule.status, "headers": headers})
    await send({"type": "http.response.body", "body": msgspec.json.encode(body)})


async def _cut(send: Send, receive: Receive) -> None:
    """Close the connection without an answer.

    ASGI has no word for this. uvicorn's `send` is a method of the object that holds the transport.
    """
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    if transport is None:
        raise ConnectionResetError("cut by a fault")
    transport.abort()
    while (await receive())["type"] != "http.disconnect":
        pass
