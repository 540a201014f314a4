"""What `make bench` found, as the tables of docs/performance.md."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "performance.md"
FOUND = ROOT / "docs" / "performance.json"
BEGIN, END = "<!-- found: {} -->", "<!-- end -->"

OTHERS = {
    # acknowledged by the store, on this kind of machine, with Kafka's 5 ms linger where it is Kafka
    "WebhookX, Redis": (9_600, None),
    "Svix bridge (Rust), Kafka": (8_800, 25_400),
    "a bare Go program, Kafka": (8_400, 27_200),
    "Outpost": (3_800, None),
    "Convoy": (3_500, None),
    "Redpanda Connect": (2_500, None),
    "Svix server": (1_500, None),
    "WebhookX, Postgres": (1_500, None),
    "Karapace": (1_300, None),
}
"""Deliveries a second at 64 and at 256 connections, measured earlier and not in this run."""

Found = dict[str, Any]
Goal = tuple[str, str, str, bool]


def goals(found: Found) -> dict[str, list[Goal]]:
    """Return, by part, each goal: what, the goal, what was found, and whether that is enough."""
    ingest, fresh, worker, backfill = (
        found[part] for part in ("ingest", "freshness", "worker", "backfill")
    )
    at_64, at_256 = ingest["connections_64"], ingest["connections_256"]
    steady = ingest["at_500_a_second"]
    most = max(per_s for per_s, _ in OTHERS.values())
    delay_s = fresh["look_delay_s"]
    even, beside = fresh["even"], fresh["others_beside_a_loud_one"]
    return {
        "ingest": [
            _at_least("at 64 connections, a second", most + 1, at_64["gateway_per_s"], "{:,.0f}"),
            _at_least("share of the floor at 64", 0.85, at_64["ratio"], "{:.2f}"),
            _at_least("share of the floor at 256", 0.85, at_256["ratio"], "{:.2f}"),
            _at_most("p50 at 500/s, ms", 2, steady["gateway_p50_ms"], "{:.1f}"),
            _at_most("p99 at 500/s, ms", 10, steady["gateway_p99_ms"], "{:.1f}"),
            _at_most("CPU seconds for 10,000, at 64", 1.1, at_64["gateway_cpu_us"] / 100, "{:.2f}"),
            _at_most("memory, MiB", 60, ingest["resident_mib"], "{:.0f}"),
        ],
        "freshness": [
            _at_most("p50, s", delay_s + 0.3, even["p50_s"], "{:.2f}"),
            _at_most("p95, s", delay_s + 1.0, even["p95_s"], "{:.2f}"),
            _at_most(
                "p95 of the others beside a loud project, as a multiple",
                2,
                beside["p95_s"] / even["p95_s"],
                "{:.2f}",
            ),
        ],
        "worker": [
            _at_least(
                "share of the bare loop, sides as far as real ones",
                0.8,
                worker["sides_are_far"]["ratio"],
                "{:.2f}",
            ),
            _at_least(
                "share of the bare loop, sides answering at once",
                0.8,
                worker["sides_answer_at_once"]["ratio"],
                "{:.2f}",
            ),
            _at_most("memory, MiB", 150, max(worker["worker_mib"], fresh["worker_mib"]), "{:.0f}"),
            _at_most(
                f"cost of a change with {int(_last(worker['connected'])):,} projects "
                f"as a multiple of that with {_first(worker['connected'])}",
                1.1,
                worker["cost_ratio"],
                "{:.2f}",
            ),
        ],
        "backfill": [
            _at_most(
                "calls on Procore as a multiple of the floor", 1.1, backfill["ratio"], "{:.3f}"
            ),
            _at_most("memory, MiB at most", 150, backfill["most_mib"], "{:.0f}"),
            _at_most(
                "memory, growth from the middle to the end, MiB",
                5,
                backfill["growth_mib"],
                "{:.1f}",
            ),
            _at_least(
                "records mirrored, of all, after a kill in the middle",
                1.0,
                backfill["mirrored"] / (backfill["rfis"] + backfill["submittals"]),
                "{:.3f}",
            ),
        ],
    }


def _at_least(what: str, goal: float, found: float, form: str) -> Goal:
    return what, f"≥ {goal:,g}", form.format(found), found >= goal


def _at_most(what: str, goal: float, found: float, form: str) -> Goal:
    return what, f"≤ {goal:,g}", form.format(found), found <= goal


def _first(named: dict[str, Any]) -> str:
    return next(iter(named))


def _last(named: dict[str, Any]) -> str:
    return list(named)[-1]


def tables(found: Found) -> dict[str, str]:
    """Return the tables of the page by their names."""
    kept = {part: _goals_table(rows) for part, rows in goals(found).items()}
    at_64, at_256 = (found["ingest"][f"connections_{count}"] for count in (64, 256))
    rows = [
        ("", "64 connections", "256 connections"),
        *(
            (what, form.format(at_64[name]), form.format(at_256[name]))
            for what, name, form in (
                ("ours, a second", "gateway_per_s", "{:,.0f}"),
                ("the floor, a second", "floor_per_s", "{:,.0f}"),
                ("ours, CPU µs a delivery", "gateway_cpu_us", "{:.0f}"),
                ("the floor, CPU µs a delivery", "floor_cpu_us", "{:.0f}"),
                ("ours, p50 ms", "gateway_p50_ms", "{:.1f}"),
                ("ours, p99 ms", "gateway_p99_ms", "{:.1f}"),
            )
        ),
    ]
    kept["throughput"] = _table(rows)
    kept["machine"] = _table([("", ""), *found["machine"].items()])
    scenes = (
        ("all, evenly", "even"),
        ("RFIs", "even_rfis"),
        ("submittals", "even_submittals"),
        ("the others beside a loud one", "others_beside_a_loud_one"),
        ("the loud one", "the_loud_one"),
    )
    seen = found["freshness"]
    kept["delays"] = _table(
        [
            ("seconds", "changes", "p50", "p95", "p99", "longest"),
            *(
                (
                    name,
                    f"{seen[key]['changes']:,}",
                    *(f"{seen[key][of]:.2f}" for of in ("p50_s", "p95_s", "p99_s", "longest_s")),
                )
                for name, key in scenes
            ),
        ]
    )
    kept["costs"] = _table(
        [
            (
                "connected projects",
                "worker, CPU ms a change",
                "PostgreSQL, CPU ms a change",
                "both",
                "without changes, CPU ms a second",
            ),
            *(
                (
                    f"{int(count):,}",
                    *(
                        f"{one[of]:.1f}"
                        for of in ("worker_ms_a_change", "database_ms_a_change", "ms_a_change")
                    ),
                    f"{one['worker_idle_ms_a_second'] + one['database_idle_ms_a_second']:.0f}",
                )
                for count, one in found["worker"]["connected"].items()
            ),
        ]
    )
    return kept


def _goals_table(rows: list[Goal]) -> str:
    told = [(what, goal, found, "yes" if met else "**no**") for what, goal, found, met in rows]
    return _table([("", "goal", "found", "met"), *told])


def _table(rows: Sequence[tuple[str, ...]]) -> str:
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "|" + " --- |" * len(rows[0]), *lines[1:]])


def filled(page: str, found: Found) -> str:
    """Return the page with its tables as found."""
    for name, table in tables(found).items():
        begin = BEGIN.format(name)
        before, opened, rest = page.partition(begin)
        if opened:
            page = f"{before}{begin}\n{table}\n{END}{rest.split(END, 1)[1]}"
    return page


def keep(found: Found) -> None:
    """Keep what was found so far."""
    FOUND.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def write(found: Found) -> None:
    """Bring the page up to date."""
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"), found), encoding="utf-8")
