"""What was found, for people (Markdown) and for programs (JSON)."""

from pathlib import Path
from typing import Any

import msgspec

from connector.probe.answers import Answer, Answers
from connector.probe.unknown_parts import Part
from connector.probe.unknowns import PARTS, UNKNOWNS

WORDS = {
    "as_assumed": "as assumed",
    "different": "**different from what we assume**",
    "found": "found out",
    "unanswered": "unanswered",
}
NOT_ASKED = Answer(verdict="unanswered", found="not asked in this run")


def counts(answers: Answers) -> dict[str, int]:
    """Return how many parts have which verdict."""
    found = dict.fromkeys(WORDS, 0)
    for key in PARTS:
        found[_answer(answers, key).verdict] += 1
    return found


def write_reports(answers: Answers, folder: Path, *, api_url: str) -> tuple[Path, Path]:
    """Write `report.md` and `report.json`; return their paths. Neither holds a token or secret."""
    markdown, json = folder / "report.md", folder / "report.json"
    markdown.write_text(as_markdown(answers, api_url=api_url), encoding="utf-8")
    document = as_document(answers, api_url=api_url)
    json.write_bytes(msgspec.json.format(msgspec.json.encode(document)))
    return markdown, json


def as_document(answers: Answers, *, api_url: str) -> dict[str, Any]:
    """Return the report as one JSON document."""
    kept = answers.kept
    return {
        "run": kept.run,
        "began_at": kept.began_at,
        "procore_api_url": api_url,
        "company": {"id": kept.company_id, "name": kept.company},
        "project": {"id": kept.project_id, "name": kept.project},
        "counts": counts(answers),
        "unknowns": [
            {
                "number": unknown.number,
                "question": unknown.question,
                "parts": [_part(answers, part) for part in unknown.parts],
            }
            for unknown in UNKNOWNS
        ],
        "writes": kept.writes,
        "left_behind": [one for one in kept.made if not one.is_deleted],
    }


def _part(answers: Answers, part: Part) -> dict[str, Any]:
    answer = _answer(answers, part.key)
    return {
        "key": part.key,
        "asks": part.asks,
        "assumed": part.assumed,
        "found": answer.found,
        "verdict": answer.verdict,
        "rests_on": part.rests_on,
        "evidence": answer.evidence,
    }


def as_markdown(answers: Answers, *, api_url: str) -> str:
    """Return the report for people: what differs first, then the fourteen in their order."""
    kept = answers.kept
    lines = [
        "# What Procore's sandbox answered",
        "",
        f"Run {kept.run}, begun {kept.began_at}, at {api_url}.",
        "",
        f"Project: {_plain(kept.project)} ({kept.project_id}).",
        f"Company: {_plain(kept.company)} ({kept.company_id}).",
        "",
        ", ".join(f"{count} {WORDS[word]}" for word, count in counts(answers).items()) + ".",
        "",
    ]
    differing = [
        part for part in PARTS.values() if _answer(answers, part.key).verdict == "different"
    ]
    if differing:
        lines += ["## To be changed, or decided", ""]
        lines += [
            f"- {part.key} {part.asks} Assumed: {part.assumed}. "
            f"Found: {_plain(_answer(answers, part.key).found)}."
            for part in differing
        ]
        lines.append("")
    for unknown in UNKNOWNS:
        lines += [f"## {unknown.number}. {unknown.question}", ""]
        for part in unknown.parts:
            lines += _lines_of(part, _answer(answers, part.key))
    lines += ["## Writes that were agreed to", ""]
    lines += [f"- {_plain(one)}" for one in kept.writes] or ["None."]
    lines += ["", "## Left behind", ""]
    lines += [
        f"- {one.what} {one.id}, {_plain(one.words)}: {_plain(one.left) or 'not removed yet'}"
        for one in kept.made
        if not one.is_deleted
    ] or ["Nothing."]
    return "\n".join(lines) + "\n"


def _lines_of(part: Part, answer: Answer) -> list[str]:
    lines = [
        f"### {part.key} {part.asks}",
        "",
        f"- Verdict: {WORDS[answer.verdict]}",
        f"- Assumed: {part.assumed}",
        f"- Found: {_plain(answer.found)}",
        "- What rests on it:",
        *(f"  - `{one}`" for one in part.rests_on),
    ]
    if answer.evidence:
        lines += ["- Seen:", *(f"  - {_plain(one)}" for one in answer.evidence)]
    return [*lines, ""]


def _answer(answers: Answers, key: str) -> Answer:
    return answers.kept.answers.get(key, NOT_ASKED)


def _plain(text: str) -> str:
    """Keep what others wrote from being read as markup, and on its line."""
    return " ".join(text.split()).translate({ord(one): f"\\{one}" for one in "<>[]`|*_"})
