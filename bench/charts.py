"""What `make bench` found, as the pictures of docs/performance.md.

Apart from the tables, as pygal leaves a hook for imports behind that tests take for a fault.
"""

import re
from typing import Any

import pygal
from pygal.style import CleanStyle

from bench.report import OTHERS, ROOT, Found

IMAGES = ROOT / "docs" / "images"
BESIDE = re.compile("<!--.*?-->|<script.*?</script>", re.DOTALL)
STYLE = CleanStyle(title_font_size=15, legend_font_size=12, label_font_size=11, value_font_size=11)
SIZE = {"width": 720, "height": 340}


def charts(found: Found) -> dict[str, str]:
    """Return the pictures as SVG by their file names."""
    return {
        "performance-ingest.svg": _ingest_chart(found["ingest"]),
        "performance-freshness.svg": _freshness_chart(found["freshness"]),
        "performance-backfill.svg": _memory_chart(found["backfill"]),
    }


def _ingest_chart(ingest: Found) -> str:
    chart = pygal.HorizontalBar(
        title="Deliveries a second at 64 connections", show_legend=False, **_look()
    )
    at_64 = ingest["connections_64"]
    bars = {name: per_s for name, (per_s, _) in OTHERS.items()} | {
        "uvicorn and aiokafka alone (this run)": at_64["floor_per_s"],
        "ours (this run)": at_64["gateway_per_s"],
    }
    ordered = sorted(bars.items(), key=lambda bar: bar[1])
    chart.x_labels = [name for name, _ in ordered]
    chart.add(
        "a second",
        [
            {"value": round(per_s), "color": "#2a6f97" if name.startswith("ours") else "#a9bcc6"}
            for name, per_s in ordered
        ],
    )
    return _rendered(chart)


def _freshness_chart(fresh: Found) -> str:
    chart = pygal.Bar(
        title="Seconds from Procore's event to Part3",
        legend_at_bottom=True,
        range=(0, None),
        **_look(),
    )
    chart.x_labels = ["p50", "p95", "p99"]
    for name, key in (
        ("50 projects evenly", "even"),
        ("the others beside a loud one", "others_beside_a_loud_one"),
    ):
        chart.add(name, [round(fresh[key][of], 2) for of in ("p50_s", "p95_s", "p99_s")])
    return _rendered(chart)


def _memory_chart(backfill: Found) -> str:
    chart = pygal.XY(
        title="The worker's memory during a backfill, MiB over seconds",
        show_dots=False,
        show_legend=False,
        range=(0, 160),
        **_look(),
    )
    chart.add("MiB", [(at, mib) for at, mib in backfill["memory"]])
    return _rendered(chart)


def _look() -> dict[str, Any]:
    return {**SIZE, "js": [], "disable_xml_declaration": True, "style": STYLE, "print_values": True}


def _rendered(chart: pygal.graph.graph.Graph) -> str:
    chart.uuid = "chart"  # else another one each time
    picture: str = BESIDE.sub("", chart.render(is_unicode=True))  # a comment tells the date
    return picture.strip() + "\n"


def draw(found: Found) -> None:
    """Write the pictures."""
    for name, picture in charts(found).items():
        (IMAGES / name).write_text(picture, encoding="utf-8")
