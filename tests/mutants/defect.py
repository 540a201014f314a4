"""What a seeded defect is, and how it is put into a copy of the tree."""

import ast
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


class Stale(Exception):  # noqa: N818 - says what the defect is
    """The text that a defect replaces is not there exactly once any more."""


@dataclass(frozen=True, slots=True)
class Defect:
    """One seeded defect.

    Attributes:
        name: what goes wrong, in a word or two with hyphens.
        file: the module, from the repository's root.
        old: text that stands in it exactly once.
        new: what stands there instead.
        test: `file::test`, or `file::Class::test`, that has to fail.
    """

    name: str
    file: str
    old: str
    new: str
    test: str

    def changed(self, source: str) -> str:
        """Return the module's text with the defect in it. Raises Stale."""
        if (count := source.count(self.old)) != 1:
            message = f"{self.name}: its text stands {count} times in {self.file}, and not once"
            raise Stale(message)
        changed = source.replace(self.old, self.new)
        ast.parse(changed)
        return changed


def names_a_test(test: str, root: Path = ROOT) -> bool:
    """Tell whether `file::test`, or `file::Class::test`, is there."""
    file, *names = test.split("::")
    path = root / file
    if not path.is_file():
        return False
    inside: list[ast.stmt] = ast.parse(path.read_text()).body
    for name in names:
        found = next((node for node in inside if getattr(node, "name", None) == name), None)
        if found is None:
            return False
        inside = getattr(found, "body", [])
    return True
