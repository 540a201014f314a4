"""`python -m simulation`: many seeds for a verdict, or one to read its history."""

import os
import sys

import click

from simulation.batch import ENOUGH_SEEDS, MOST_SHOWN, quieten, totals_of
from simulation.counting import RARE
from simulation.faults import PROFILES
from simulation.world import run


@click.command()
@click.option("--seeds", default=10_000, help="How many histories.")
@click.option("--first", default=1, help="The first seed.")
@click.option("--seed", type=int, help="Run this one alone and print its history.")
@click.option("--profile", type=click.Choice(sorted(PROFILES)), help="With --seed: these faults.")
@click.option("--processes", default=os.cpu_count() or 1, help="How many at once.")
@click.option("--quiet", is_flag=True, help="Print the line of figures and what broke, only.")
@click.option("--any-branches", is_flag=True, help="Do not ask that every rare branch was taken.")
def main(
    *,
    seeds: int,
    first: int,
    seed: int | None,
    profile: str | None,
    processes: int,
    quiet: bool,
    any_branches: bool,
) -> None:
    """Play histories of faults against the real programs; exit with 1 if an invariant breaks."""
    if seed is not None:
        sys.exit(_one(seed, profile))
    totals, took = totals_of(first, seeds, processes)
    if not quiet:
        for what in RARE:
            click.echo(f"{totals.counts[what]:>10}  {what}")
    for broken_seed, what in totals.broken[:MOST_SHOWN]:
        click.echo(f"seed {broken_seed}: {what}")
    if totals.broken:
        click.echo(f"read one with: make simulate SEED={totals.broken[0][0]}")
    never = [] if any_branches or seeds < ENOUGH_SEEDS else totals.never
    for what in never:
        click.echo(f"never in {seeds} seeds: {what}; the run does not count")
    click.echo(totals.words(took))
    sys.exit(1 if totals.broken or never else 0)


def _one(seed: int, profile: str | None) -> int:
    quieten()
    outcome = run(seed, profile=profile, told=True)
    for line in outcome.history.lines:
        click.echo(line)
    for what, times in sorted(outcome.history.counts.items()):
        click.echo(f"{times:>10}  {what}")
    for violation in outcome.history.violations:
        click.echo(f"seed {seed}: {violation}")
    kind = "broken" if outcome.history.violations else "holds"
    click.echo(f"seed {seed} ({outcome.profile}): {kind}")
    return 1 if outcome.history.violations else 0


if __name__ == "__main__":
    main()
