"""The metrics that the programs export, read from the code that declares them."""

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROGRAMS = ("services", "webhook_gateway", "token_service", "sync_worker")
SUFFIXES = {
    "counter": ("_total",),
    "seconds": ("_bucket", "_count", "_sum"),
    "gauge": ("",),
    "gauges": ("",),
}


@cache
def declared() -> dict[str, tuple[str, frozenset[str]]]:
    """Return each metric's kind and label names, as the programs' code declares them."""
    found = {}
    for path in (path for program in PROGRAMS for path in (ROOT / program).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and (one := _declaration(node)):
                found[one[0]] = (one[1], one[2])
    return found


def series() -> frozenset[str]:
    """Return the name of every time series, as Prometheus stores it."""
    return frozenset(
        name + suffix for name, (kind, _) in declared().items() for suffix in SUFFIXES[kind]
    )


def _declaration(call: ast.Call) -> tuple[str, str, frozenset[str]] | None:
    match call:
        case ast.Call(
            func=ast.Attribute(attr=kind) | ast.Name(id=kind),
            args=[ast.Constant(value=str(name)), *_],
        ) if kind in SUFFIXES and name.startswith("connector_"):
            labels = call.args[2] if kind in {"counter", "gauges"} and len(call.args) > 2 else None
            return name, kind, _keys(labels) if labels is not None else frozenset()
    return None


def _keys(labels: ast.expr) -> frozenset[str]:
    """Read a literal's keys; what is not written out has a name that nobody allows."""
    match labels:
        case ast.Dict(keys=keys):
            return frozenset(
                str(key.value) if isinstance(key, ast.Constant) else "not a literal" for key in keys
            )
        case _:
            return frozenset({"not a literal"})
