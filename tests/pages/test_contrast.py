"""Every pair of colours that stands on one another reaches WCAG AA, in light and in dark."""

import re
from importlib import resources

import pytest

TEXT = 4.5  # WCAG 2.2, 1.4.3
EDGE = 3.0  # WCAG 2.2, 1.4.11
SHEET = (resources.files("token_service.public") / "static" / "pages.css").read_text("utf-8")

GROUNDS = ("ground", "surface", "sunken")
PAIRS = [
    *[(ink, ground, TEXT) for ink in ("ink", "quiet", "accent", "bad") for ground in GROUNDS],
    *[("ink", f"{tone}-soft", TEXT) for tone in ("good", "warn", "bad", "accent")],
    *[(tone, f"{tone}-soft", TEXT) for tone in ("good", "warn", "bad", "accent")],
    ("quiet", "accent-soft", TEXT),
    ("accent", "warn-soft", TEXT),
    ("on-fill", "fill", TEXT),
    ("on-fill", "fill-strong", TEXT),
    *[("edge", ground, EDGE) for ground in GROUNDS],
    *[("fill", ground, EDGE) for ground in ("surface", "sunken")],
    ("accent", "accent-soft", EDGE),
    *[("good", ground, EDGE) for ground in GROUNDS],
]


def palette(scheme: str) -> dict[str, str]:
    light = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", SHEET.split("@media")[0]))
    dark_block = SHEET.split("@media (prefers-color-scheme: dark)")[1].split("\n}")[0]
    dark = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", dark_block))
    assert light.keys() == dark.keys(), "each colour has a light and a dark value"
    return light if scheme == "light" else dark


def luminance(colour: str) -> float:
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("ink", "ground", "least"), PAIRS)
def test_colours_can_be_told_apart(scheme: str, ink: str, ground: str, least: float) -> None:
    colours = palette(scheme)
    assert contrast(colours[ink], colours[ground]) >= least


def test_no_colour_stands_outside_the_palette() -> None:
    rules = re.sub(r"--[a-z-]+: [^;]+;", "", SHEET)
    assert re.findall(r"#[0-9a-f]{3,8}\b(?=[;\s,)])", rules) == []
