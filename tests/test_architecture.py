"""Imports point one way: programs -> services -> schemas; programs never import each other."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROGRAMS = ("webhook_gateway", "token_service", "sync_worker")
OURS = (*PROGRAMS, "services", "schemas", "connector", "sandbox", "deploy")
MAY_IMPORT = {
    "schemas": set[str](),
    "services": {"schemas"},
    "webhook_gateway": {"services", "schemas"},
    "token_service": {"services", "schemas"},
    "sync_worker": {"services", "schemas"},
    "sandbox": set[str](),  # a stand-in that shared our code would share our mistakes
    "deploy": set[str](),
    "connector": {"services", "schemas", "deploy", "sandbox"},
}
ONLY_IN = {
    "aiokafka": "services/kafka/driver.py",
    "asyncpg": "services/postgres.py",
    "authlib": "services/procore/oauth.py",
}


def imports_of(path: Path) -> set[str]:
    """Return the top-level names a module imports, wherever in it they stand."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.add(node.module.split(".")[0])
    return names


def modules_of(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


@pytest.mark.parametrize("package", OURS)
def test_a_package_imports_only_what_lies_below_it(package: str) -> None:
    allowed = MAY_IMPORT[package] | {package}
    for path in modules_of(package):
        strangers = (imports_of(path) & set(OURS)) - allowed
        assert not strangers, f"{path.relative_to(ROOT)} imports {sorted(strangers)}"


@pytest.mark.parametrize(("library", "home"), ONLY_IN.items())
def test_an_untyped_library_is_imported_in_one_module_only(library: str, home: str) -> None:
    users = [
        str(path.relative_to(ROOT))
        for package in OURS
        if package != "sandbox"
        for path in modules_of(package)
        if library in imports_of(path)
    ]
    assert users == [home]


@pytest.mark.parametrize("package", OURS)
def test_the_graph_is_of_modules_that_exist(package: str) -> None:
    assert modules_of(package), f"{package} has no modules: the graph above would hold nothing"
