"""Answers to the programs' statements, a module for each of theirs; importing makes them known."""

from simulation.statements import (
    deliveries,
    grants,
    intents,
    looks,
    memory,
    projects,
    records,
    removals,
    seals,
    sweeps,
)

__all__ = [
    "deliveries",
    "grants",
    "intents",
    "looks",
    "memory",
    "projects",
    "records",
    "removals",
    "seals",
    "sweeps",
]
