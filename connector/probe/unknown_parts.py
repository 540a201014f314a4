"""One thing to find out, and what we take to be so until somebody does."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A question that has one answer.

    Attributes:
        key: its unknown's number and a word, such as `6.spent`.
        asks: the question.
        assumed: what our code takes to be so.
        rests_on: `path: what it does`, of each piece of code that would have to change.
    """

    key: str
    asks: str
    assumed: str
    rests_on: tuple[str, ...]

    @property
    def number(self) -> int:
        """The unknown it belongs to."""
        return int(self.key.partition(".")[0])


NOTHING = "nothing: either is met"
