"""The dashboard's panels with a Prometheus's own data, as one picture, where there is no Grafana.

`python -m deploy.grafana.preview http://127.0.0.1:9090 --minutes 20 --into dashboard.png` asks that
Prometheus each panel's questions and says which of them had no answer. It draws lines and nothing
of Grafana's looks.
"""

import json
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import httpx2
import pygal
from playwright.sync_api import sync_playwright
from pygal.style import CleanStyle

from deploy.local.browser import chromium_path

DASHBOARD = Path(__file__).with_name("connector.json")
POINTS = 120
PANEL_WIDTH, PANEL_HEIGHT, COLUMNS = 520, 330, 3
UNITS = {"s": "seconds", "percentunit": "", "reqps": "a second", "ops": "a second", "short": ""}
COLORS = ("#1f60c4", "#e0752d", "#37872d", "#c4162a", "#8f3bb8", "#b8860b", "#00818a", "#7a4a2b")
PAGE = """<!doctype html><meta charset="utf-8"><title>{title}</title>
<style>body{{margin:12px;background:#fff;display:grid;gap:12px;
grid-template-columns:repeat({columns},{width}px)}}figure{{margin:0}}</style>{panels}"""


def series_of(
    prometheus: httpx2.Client, target: dict[str, Any], span_s: float, until: float
) -> dict[str, list[tuple[datetime, float]]]:
    """Return what a panel's question answers, by legend, without what is no number."""
    step = max(span_s / POINTS, 1.0)
    asked = {"query": target["expr"], "start": until - span_s, "end": until, "step": step}
    answer = prometheus.get("/api/v1/query_range", params=asked)
    _ = answer.raise_for_status()
    return {
        _legend(target, one["metric"]): [
            (datetime.fromtimestamp(at, UTC), float(value))
            for at, value in one["values"]
            if math.isfinite(float(value))
        ]
        for one in answer.json()["data"]["result"]
    }


def _legend(target: dict[str, Any], labels: dict[str, str]) -> str:
    """Fill in a legend as Grafana does."""
    words: str = target.get("legendFormat") or ", ".join(labels.values()) or target["expr"]
    for name, value in labels.items():
        words = words.replace("{{" + name + "}}", value)
    return words


def drawn(
    title: str,
    unit: str,
    series: dict[str, list[tuple[datetime, float]]],
    span: tuple[float, float],
) -> str:
    """Return a panel as SVG, whose time axis is the span (Unix seconds) whatever has values."""
    chart = pygal.DateTimeLine(
        width=PANEL_WIDTH,
        height=PANEL_HEIGHT,
        title=f"{title}, {UNITS[unit]}" if UNITS[unit] else title,
        x_value_formatter=lambda at: f"{at:%H:%M}",
        x_labels_major_count=4,
        show_minor_x_labels=False,
        truncate_label=-1,
        truncate_legend=-1,
        xrange=span,
        show_dots=False,
        legend_at_bottom=True,
        legend_at_bottom_columns=2,
        include_x_axis=True,
        no_data_text="no data",
        disable_xml_declaration=True,
        js=[],
        style=CleanStyle(
            title_font_size=15,
            legend_font_size=12,
            label_font_size=11,
            no_data_font_size=20,
            colors=COLORS,
        ),
    )
    for name, points in sorted(series.items()):
        _ = chart.add(name, points)
    picture: str = chart.render(is_unicode=True)
    return picture


@click.command()
@click.argument("prometheus_url")
@click.option("--minutes", default=20.0, show_default=True, type=click.FloatRange(min=0.1))
@click.option("--into", type=click.Path(dir_okay=False, path_type=Path), required=True)
def preview(prometheus_url: str, minutes: float, into: Path) -> None:
    """Draw every panel's data of the last minutes; ends with 1 when a question is refused."""
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    until, panels = datetime.now(UTC).timestamp(), []
    span = (until - minutes * 60, until)
    with httpx2.Client(base_url=prometheus_url) as prometheus:
        for panel in dashboard["panels"]:
            series: dict[str, list[tuple[datetime, float]]] = {}
            for target in panel["targets"]:
                try:
                    series |= series_of(prometheus, target, minutes * 60, until)
                except httpx2.HTTPError as error:
                    message = f"{panel['title']}: {target['expr']}: {error}"
                    raise click.ClickException(message) from error
            lines = sum(1 for points in series.values() if points)
            click.echo(
                f"{panel['title']}: {lines} lines" if lines else f"{panel['title']}: no data"
            )
            unit = panel["fieldConfig"]["defaults"]["unit"]
            panels.append(f"<figure>{drawn(panel['title'], unit, series, span)}</figure>")
    page = PAGE.format(
        title=dashboard["title"], columns=COLUMNS, width=PANEL_WIDTH, panels="".join(panels)
    )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=["--no-sandbox"])
        view = browser.new_page(
            viewport={"width": COLUMNS * (PANEL_WIDTH + 12) + 12, "height": 800}
        )
        view.set_content(page)
        _ = view.screenshot(path=into, full_page=True)
        browser.close()
    click.echo(f"==> {into}")


if __name__ == "__main__":
    preview()
