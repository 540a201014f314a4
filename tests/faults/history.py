"""What was done to a system and what was seen of it, in order: one line of JSON each.

An operation whose answer never came is `unknown`: it may or may not have happened, and nobody may
conclude from it that it did not.
"""

import json
import time
from collections import Counter
from pathlib import Path
from typing import Any, Literal

Kind = Literal["scenario", "act", "fault", "saw", "unknown", "check", "figures"]


class History:
    """Appends to a file, and counts what happened by its word."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.counts: Counter[str] = Counter()
        self._began = time.monotonic()
        path.parent.mkdir(parents=True, exist_ok=True)

    def note(self, kind: Kind, what: str, /, **more: Any) -> None:
        """Write a line; `what` is a fixed word, the rest its details."""
        self.counts[f"{kind} {what}"] += 1
        at_s = round(time.monotonic() - self._began, 3)
        entry = {**more, "at_s": at_s, "kind": kind, "what": what}
        with self.path.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(entry, default=str) + "\n")
