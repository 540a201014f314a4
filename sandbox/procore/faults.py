"""Faults on demand: rules matched against calls and events, seeded.

A rule is one JSON object of `POST /_sandbox/faults`:
`{"kind": ..., "method", "path" (regular expression; calls),
"resource", "reason" (events), "rate" (0..1), "count" (at most so
often), "skip" (let so many pass first)}`
and the kind's own fields:

| kind | on | does |
| --- | --- | --- |
| latency | call | waits `delay_s` (+ up to `jitter_s`) before answering |
| status | call | answers `status`, `body` json, html or empty, `retry_after_s` in a header |
| cut_before | call | closes the connection before the operation |
| cut_after | call | commits the operation, then closes without a byte |
| hang_after | call | commits, says nothing for `delay_s`, then closes without a byte |
| half_body | call | commits, then sends the head and half of the body |
| stale | call | reads show the state of `lag_s` ago; with `half` only the ball in court is old |
| drop | event | never sent |
| duplicate | event | sent `copies` times within 7 s; `different_ids` for new ids each |
| delay | event | sent `delay_s` later, others overtake it |
| reorder | event | sent up to `delay_s` later at random |
"""

import random
import re
from typing import Any, Literal

import msgspec

Kind = Literal[
    "latency",
    "status",
    "cut_before",
    "cut_after",
    "hang_after",
    "half_body",
    "stale",
    "drop",
    "duplicate",
    "delay",
    "reorder",
]
EVENT_KINDS = ("drop", "duplicate", "delay", "reorder")


class Rule(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    kind: Kind
    method: str | None = None
    path: str | None = None
    resource: str | None = None
    reason: str | None = None
    rate: float = 1.0
    count: int | None = None
    skip: int = 0
    delay_s: float = 1.0
    jitter_s: float = 0.0
    lag_s: float = 1.5
    half: bool = False
    copies: int = 3
    different_ids: bool = False
    status: int = 503
    body: Literal["json", "html", "empty"] = "json"
    retry_after_s: int | None = None
    hits: int = 0  # how often it struck
    passed: int = 0  # how often it matched


class EventPlan(msgspec.Struct, kw_only=True):
    """What happens to the deliveries of one event."""

    dropped: bool = False
    copies: int = 1
    different_ids: bool = False
    delay_s: float = 0.0


class Faults:
    """The rules in force, tried in their order."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.seed = 0
        self.rules: list[Rule] = []

    def set(self, seed: int, rules: list[dict[str, Any]]) -> None:
        """Replace the rules. Raises msgspec.ValidationError or re.error on a bad one."""
        read = [msgspec.convert(rule, Rule) for rule in rules]
        for rule in read:
            re.compile(rule.path or "")
        self.seed, self.rules = seed, read
        self.chance.seed(seed)

    def of_call(self, method: str, path: str) -> list[Rule]:
        """The rules that strike this call."""
        return [
            rule
            for rule in self.rules
            if rule.kind not in EVENT_KINDS
            and (rule.method is None or rule.method.upper() == method)
            and (rule.path is None or re.search(rule.path, path))
            and self._strikes(rule)
        ]

    def of_event(self, resource_name: str, reason: str) -> EventPlan:
        """What to do with the deliveries of this event."""
        plan = EventPlan()
        for rule in self.rules:
            if (
                rule.kind not in EVENT_KINDS
                or (rule.resource is not None and rule.resource != resource_name)
                or (rule.reason is not None and rule.reason != reason)
                or not self._strikes(rule)
            ):
                continue
            if rule.kind == "drop":
                plan.dropped = True
            elif rule.kind == "duplicate":
                plan.copies = max(plan.copies, rule.copies)
                plan.different_ids |= rule.different_ids
            elif rule.kind == "delay":
                plan.delay_s += rule.delay_s
            else:
                plan.delay_s += self.chance.uniform(0, rule.delay_s)
        return plan

    def _strikes(self, rule: Rule) -> bool:
        rule.passed += 1
        if rule.passed <= rule.skip or (rule.count is not None and rule.hits >= rule.count):
            return False
        if rule.rate < 1 and self.chance.random() >= rule.rate:
            return False
        rule.hits += 1
        return True
