"""What a run found, for people: a line of figures, and a page."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tests.faults.scenarios import Outcome

STRIKES = ("kill", "stop", "raise", "paused")


def figures(outcomes: Sequence[Outcome], *, took_s: float, left_out: Sequence[str]) -> str:
    """Return the run in one line."""
    reached = _sum(outcomes)
    strikes = sum(n for name, n in reached.items() if name.split()[-1] in STRIKES)
    lost = sum(line.startswith("I1") for one in outcomes for line in one.wrong)
    doubled = sum(line.startswith("I2") for one in outcomes for line in one.wrong)
    held = sum(one.held for one in outcomes)
    return (
        f"faults: {held} of {len(outcomes)} scenarios held in {took_s:.0f} s; "
        f"{sum(one.records for one in outcomes)} records, "
        f"{sum(one.returns for one in outcomes)} returns, {strikes} strikes, "
        f"{reached['log return.adopted']} adopted, {reached['sent twice']} sent twice; "
        f"lost {lost}, doubled {doubled}" + (f"; left out {len(left_out)}" if left_out else "")
    )


def _sum(outcomes: Sequence[Outcome]) -> Counter[str]:
    total: Counter[str] = Counter()
    for one in outcomes:
        total.update(one.reached)
    return total


def write_report(
    path: Path, outcomes: Sequence[Outcome], *, seed: int, left_out: Sequence[str]
) -> None:
    """Write the page."""
    lines = [
        "# Faults",
        "",
        f"Seed {seed}: `make faults SEED={seed}` plays the same again.",
        "",
        "| scenario | rows of the matrix | held | took |",
        "| --- | --- | --- | --- |",
    ]
    for one in outcomes:
        word = "yes" if one.held else "no: " + "; ".join([*one.wrong, *one.not_reached])[:300]
        rows = ", ".join(map(str, one.scenario.rows))
        took = f"{one.took_s:.1f} s"
        lines.append(f"| {one.scenario.name} | {rows} | {word.replace('|', '/')} | {took} |")
    lines += ["", "## Reached", "", "| what | times |", "| --- | --- |"]
    lines += [f"| {name} | {times} |" for name, times in sorted(_sum(outcomes).items())]
    measured = {name: said for one in outcomes for name, said in one.figures.items()}
    if measured:
        lines += ["", "## Measured", ""]
        lines += [f"- {name} {said}" for name, said in measured.items()]
    if left_out:
        lines += ["", f"Left out, as the time was over: {', '.join(left_out)}"]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
