"""WCAG AA: every pair of text and ground in the style sheets has a contrast of 4.5 or more."""

import re
from importlib import resources

import pytest

PART3_PAIRS = [
    *((ink, ground) for ink in ("ink", "quiet") for ground in ("ground", "surface", "sunken")),
    ("accent-ink", "accent"),
    ("accent-ink", "accent-deep"),
    ("accent-deep", "surface"),
    ("accent-deep", "ground"),
    ("accent-deep", "accent-soft"),
    ("bad", "surface"),
    *((tone, f"{tone}-soft") for tone in ("good", "warn", "bad", "calm")),
    *(("ink", f"{tone}-soft") for tone in ("good", "warn", "calm")),
]
INBOX_PAIRS = [(ink, g) for ink in ("ink", "quiet", "link") for g in ("ground", "surface")]


def colours(package: str, sheet: str) -> list[dict[str, str]]:
    """The colours of the light and of the dark scheme."""
    css = resources.files(package).joinpath("static", sheet).read_text()
    roots = [block for block in re.findall(r":root\s*{([^}]*)}", css) if "--ground" in block]
    return [dict(re.findall(r"--([\w-]+):\s*(#[0-9a-f]{3,6})", block)) for block in roots]


def luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize(
    ("package", "sheet", "pairs"),
    [
        ("sandbox.part3", "part3.css", PART3_PAIRS),
        ("sandbox.inbox", "inbox.css", INBOX_PAIRS),
    ],
)
def test_text_can_be_read_in_light_and_dark(
    package: str, sheet: str, pairs: list[tuple[str, str]]
) -> None:
    schemes = colours(package, sheet)
    assert len(schemes) == 2
    for scheme in schemes:
        faint = {
            pair: round(contrast(scheme[pair[0]], scheme[pair[1]]), 2)
            for pair in pairs
            if contrast(scheme[pair[0]], scheme[pair[1]]) < 4.5
        }
        assert faint == {}
        if "field-line" in scheme:
            assert contrast(scheme["field-line"], scheme["surface"]) >= 3
