"""Threat 14: a statement about a tenant's rows names the tenant, or is a duty that serves all.

The first wall of two; PostgreSQL's own is in docs/decisions/0010-walls-between-projects.md.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
OURS = ("token_service", "sync_worker", "connector", "services")
TABLES = re.compile(r"\b(?:FROM|INTO|UPDATE|JOIN)\s+((?:mirror|authority)\.\w+)", re.IGNORECASE)
# each of these belongs to one project or to one person, and to no other for ever
KEYS = (
    "project_id", "user_id", "return_id", "op_key", "marker", "proposal_id",
    "session_hash", "state_hash", "jti_hash",
)  # fmt: skip
KEY = r"(?:\w+\.)?(?:" + "|".join((*KEYS, "procore_project_id")) + r")\b"
COMPARED = re.compile(KEY + r"[^;]*?(?:=|\bIN\b)|\(" + KEY, re.DOTALL)
INSERTED = re.compile(r"\s*INSERT INTO [\w.]+\s*\(([^)]*)\)")

# What no tenant is named in, and why that is right. A statement that answers one person's or one
# project's question never belongs here.
SERVE_ALL = {
    "token_service/__main__.py inline": "health: is there a table",
    "token_service/connections/rows.py LIST_CHANGED": "workers are told of every connection",
    "token_service/connections/rows.py LIST_STALE_CLAIMS": "housekeeping",
    "services/audit_chain.py LAST_SEAL": "housekeeping: a hash over lines of all",
    "token_service/audit_seals.py KEEP_SEAL": "housekeeping: a hash over lines of all",
    "token_service/audit_seals.py SETTLED_LINES": "housekeeping: a hash over lines of all",
    "connector/auditing.py SEALS": "operators: hashes over lines of all",
    "connector/auditing.py LINES": "operators: hashed, and none is shown",
    "connector/auditing.py WAITING": "operators: a count",
    "token_service/measures.py COUNT_GRANTS": "metrics: counts alone, which name nobody",
    "token_service/measures.py COUNT_HOOKS": "metrics: counts alone, which name nobody",
    "token_service/grants/pending.py TAKE_ENDED": "housekeeping: each is revoked for its owner",
    "token_service/grants/store.py LIST_OLD_GRANTS": "housekeeping: idle grants are kept warm",
    "token_service/grants/store.py LIST_OTHER_KEYS": "housekeeping: sealed again, row by row",
    "token_service/grants/store.py COUNT_OTHER_KEYS": "operators: may the old key go",
    "token_service/grants/store.py FORGET_ATTEMPTS": "housekeeping: by age",
    "token_service/public/sessions.py FORGET_ENDED": "housekeeping: by age",
    "token_service/public/sessions.py FORGET_LAUNCHES": "housekeeping: by age",
    "token_service/public/sessions.py FORGET_STATES": "housekeeping: by age",
    "connector/keys.py SEALED_BY": "operators: which keys are needed, as counts",
    "connector/hook_checks.py AUDITED": "operators: how each webhook was found",
    "connector/keys.py HOOKS_BY": "operators: which keys are needed, as counts",
    "sync_worker/__main__.py inline": "health: is there a table",
    "sync_worker/inbound/look_store.py FREE_OWN": "a worker hands over what it holds",
    "sync_worker/leases.py FREE_OWN": "a worker frees what its earlier life held",
    "sync_worker/outbound/delivery_store.py FREE_OWN": "a worker frees what its earlier life held",
    "sync_worker/outbound/delivery_store.py FREE_LAPSED": "leases that ran out, by age",
    "sync_worker/outbound/delivery_store.py inline": "when the next delivery is due, of all",
    "sync_worker/sweep_store.py FREE_OWN": "a worker frees what its earlier life held",
    "sync_worker/measures.py COUNT_HELD": "counts for operators, without a project in them",
    "token_service/grants/incident.py LIST_OF_COMPANY": "operators: a company in an incident",
    "token_service/grants/incident.py TAKE_DUE": "each is revoked at Procore for its owner",
    "connector/pausing.py PAUSE": "operators: a scope, which may be a company or everything",
    "connector/pausing.py RESUME": "operators: a scope, which may be a company or everything",
    "sync_worker/outbound/marker.py KEEP_INSTALL_KEY": "the installation's own key",
    "sync_worker/outbound/marker.py READ_INSTALL_KEY": "the installation's own key",
    "sync_worker/outbound/intent_store.py KNOWN_SERVER": "the database's own server",
    "sync_worker/outbound/intent_store.py NEW_SERVER": "the database's own server",
    "sync_worker/gaps.py LIST_EVERYTHING": "after a gap in Kafka, whose is unknown",
    "sync_worker/gaps.py ASK_FOR_ALL_RETURNS": "after a gap in Kafka, of all",
    "sync_worker/projects.py LAST_HEARD": "until when connections were heard of",
}


def names_its_tenant(sql: str) -> bool:
    """Tell whether a statement is narrowed to one tenant by a condition or an inserted key."""
    plain = re.sub(r"--.*", "", sql)
    inserted = INSERTED.match(plain)
    if inserted and re.search(KEY, inserted[1]):
        return True
    conditions = re.split(r"\bWHERE\b|\bUSING\b|\bON\b", plain)[1:]
    return any(COMPARED.search(one) for one in conditions)


def text_of(node: ast.AST) -> str:
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    if isinstance(node, ast.JoinedStr):
        return "".join(text_of(part) or " … " for part in node.values)
    return ""


def statements_of(path: Path) -> Iterator[tuple[str, str]]:
    """Give each statement about our tables, under its constant's name or as `inline`."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    named = {
        id(inner): target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and isinstance(target := node.targets[0], ast.Name)
        for inner in ast.walk(node.value)
    }
    parts = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr)
        for part in node.values
    }
    for node in ast.walk(tree):
        if id(node) not in parts and TABLES.search(text_of(node)):
            yield f"{path.relative_to(ROOT)} {named.get(id(node), 'inline')}", text_of(node)


ALL = [
    found
    for package in OURS
    for path in sorted((ROOT / package).rglob("*.py"))
    for found in statements_of(path)
]


@pytest.mark.parametrize(("name", "sql"), ALL, ids=[name for name, _ in ALL])
def test_d14_a_statement_names_its_tenant_or_serves_all(name: str, sql: str) -> None:
    assert names_its_tenant(sql) or name in SERVE_ALL, (
        f"{name} reads or writes rows of all tenants; narrow it by one of {KEYS}, "
        "or say in SERVE_ALL why it must serve all"
    )


def test_d14_nothing_is_excused_that_is_not_there() -> None:
    assert len(ALL) > 100
    there = {name for name, sql in ALL if not names_its_tenant(sql)}
    assert set(SERVE_ALL) - there == set()


@pytest.mark.parametrize(
    "careless",
    [
        "SELECT id FROM mirror.activity WHERE id = $1",
        "UPDATE mirror.records SET project_id = $1 WHERE number = $2",
        "INSERT INTO authority.audit (event) VALUES ($1)",
        "DELETE FROM mirror.looks -- WHERE project_id = $1",
    ],
)
def test_d14_a_careless_statement_is_seen(careless: str) -> None:
    assert not names_its_tenant(careless)
