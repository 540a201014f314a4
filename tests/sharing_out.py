"""How tests are shared out among processes (`pytest -n`): one waits while others compute."""

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

SYSTEMS = "tests/stack"
OF_THEIR_OWN = ("test_demo_command", "test_faults_backfill", "test_faults_outages")
"""Files of that folder that start systems of their own; the others share those of the session."""


def group_of(nodeid: str) -> str:
    """Name the tests that this one stays with: those of its file, or all that share a system."""
    path = PurePosixPath(nodeid.partition("::")[0])
    shares = str(path.parent) == SYSTEMS and path.stem not in OF_THEIR_OWN
    return SYSTEMS if shares else str(path)


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
