"""What `connector doctor` finds: each fault in words, with its remedy."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

Check = Callable[[], Awaitable[str]]
"""Looks at one thing; returns in words how it is, or raises Ill."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found; `remedy` is empty when all is well."""

    check: str
    ok: bool
    words: str
    remedy: str = ""


class Ill(Exception):  # noqa: N818 - what the doctor says
    """A check found a fault."""

    def __init__(self, words: str, remedy: str) -> None:
        self.words = words
        self.remedy = remedy
        super().__init__(words)


async def finding(name: str, check: Check) -> Finding:
    """Make a check and say what it found."""
    try:
        return Finding(name, ok=True, words=await check())
    except Ill as ill:
        return Finding(name, ok=False, words=ill.words, remedy=ill.remedy)
