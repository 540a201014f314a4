"""Threat 20: what the app calls in Procore, so that nobody has to grant it more.

The rights themselves are set where the app is registered; this is the list they follow from.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
OURS = ("services", "token_service", "sync_worker", "connector", "webhook_gateway")
# patterns by which calls are counted, and no calls
COUNTING = {"services/procore/integration_health.py", "services/procore/counting.py"}
# people at the stand-ins, and questions to a sandbox: neither runs with people's grants
NOT_THE_SERVICE = ("connector/demo/", "connector/probe/")

# Each address, with the tool whose right it needs; the rest stands below one of these.
NEEDED = {
    "/rest/v1.0/projects/*/rfis": "RFIs",
    "/rest/v1.0/*/rfis": "RFIs: counted before connecting",
    "/rest/v1.1/projects/*/submittals": "Submittals",
    "/rest/v1.1/*/submittals": "Submittals: counted before connecting",
    "/rest/v1.0/submittal_responses": "Submittals",
    "/rest/v1.0/submittal_approvers/*": "Submittals",
    "/rest/v1.1/projects/*/uploads": "files of a return",
    "/rest/v2.0/companies/*/projects/*/webhooks": "Webhooks",
    "/rest/v2.0/companies/*/projects/*/webhooks/hooks*": "Webhooks: looked at by `doctor`",
    "/rest/v1.0/settings/permissions": "what a person may do with the two tools",
    "/rest/v1.0/companies": "whose the person is",
    "/rest/v1.1/projects": "which projects a person can choose",
    "/rest/v1.0*": "who the person is: /me",
}


def addresses() -> Iterator[str]:
    for package in OURS:
        for path in (ROOT / package).rglob("*.py"):
            name = str(path.relative_to(ROOT))
            if name in COUNTING or name.startswith(NOT_THE_SERVICE):
                continue
            yield from texts_of(ast.parse(path.read_text(encoding="utf-8")))


def texts_of(node: ast.AST) -> Iterator[str]:
    """Give the addresses in string literals, `*` for whatever is put in."""
    if isinstance(node, ast.JoinedStr):
        parts = [one.value if isinstance(one, ast.Constant) else "*" for one in node.values]
        yield from of_procore("".join(str(part) for part in parts))
        return
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield from of_procore(node.value)
    for child in ast.iter_child_nodes(node):
        yield from texts_of(child)


def of_procore(text: str) -> Iterator[str]:
    if text.startswith("/rest/"):
        yield re.sub(r"\{\w+\}", "*", text)


def test_d20_nothing_is_called_but_rfis_submittals_webhooks_and_who_somebody_is() -> None:
    assert set(addresses()) == set(NEEDED)


def test_an_address_is_found_however_it_is_put_together() -> None:
    tree = ast.parse('a = f"/rest/v1.0/projects/{p}/budget"\nb = "/rest/v1.0/{project}/costs"')
    assert set(texts_of(tree)) == {"/rest/v1.0/projects/*/budget", "/rest/v1.0/*/costs"}
