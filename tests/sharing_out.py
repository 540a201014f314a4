"""How tests are shared out among processes (`pytest -n`): one waits while others compute."""

from collections.abc import Collection, Mapping, Sequence

SESSION_SYSTEMS = ("fault_site", "shared_stack")
"""Fixtures that start a whole system once a session: all their users go to one process."""


def group_of(path: str, fixtures: Collection[str]) -> str:
    """Name the tests that this one stays with: users of one system, else those of its file."""
    return next((system for system in SESSION_SYSTEMS if system in fixtures), path)


def spread(sizes: Mapping[str, bool]) -> Sequence[str]:
    """Order groups for a queue: those that wait for systems evenly among the others, one first.

    Args:
        sizes: group -> whether it starts whole systems, and so mostly waits.
    """
    waiting = [name for name, waits in sizes.items() if waits]
    computing = [name for name, waits in sizes.items() if not waits]
    step = 1 / len(waiting) if waiting else 1.0
    at = {name: place * step for place, name in enumerate(waiting)}
    at |= {name: (place + 0.5) / len(computing) for place, name in enumerate(computing)}
    return sorted(at, key=lambda name: at[name])
