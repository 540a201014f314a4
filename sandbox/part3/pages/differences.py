"""The difference between two versions of a question, as people read it. Values in, values out."""

import html
import re
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import pairwise

from markupsafe import Markup, escape

from sandbox.part3.history import Asked, Version

BLOCK_END = re.compile(r"</(?:p|div|li|h[1-6]|tr|blockquote)>|<br\s*/?>", re.IGNORECASE)
TAG = re.compile(r"<[^>]+>")
WORDS = re.compile(r"\s+|[^\s]+")
MOST_WORDS = 20_000
"""Longer texts are told as replaced: comparing them word by word would take minutes."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """What changed from one version to the next."""

    number: int  # of the newer version
    since: int
    title: Markup | None
    text: Markup | None
    files: tuple[str, ...]
    form_only: bool  # the words are the same, their form is not

    @property
    def earlier(self) -> int:
        return self.number - 1


def differences(versions: list[Version], *, is_html: bool) -> list[Difference]:
    """What changed with each version, newest first; empty while there is but one."""
    pairs = pairwise(versions)
    return [_difference(before, after, is_html=is_html) for before, after in pairs][::-1]


def _difference(before: Version, after: Version, *, is_html: bool) -> Difference:
    old, new = before.asked, after.asked
    read = words_of if is_html else str
    text = marked(read(old.text), read(new.text))
    return Difference(
        number=after.number,
        since=after.since,
        title=marked(old.title, new.title),
        text=text,
        files=_files(old, new),
        form_only=text is None and old.text != new.text,
    )


def words_of(text: str) -> str:
    """HTML as plain text, a line a block."""
    return html.unescape(TAG.sub("", BLOCK_END.sub("\n", text))).strip()


def marked(old: str, new: str) -> Markup | None:
    """The newer text with what was removed and added marked; None when they are equal."""
    if old == new:
        return None
    before, after = WORDS.findall(old), WORDS.findall(new)
    if len(before) + len(after) > MOST_WORDS:
        return Markup("<del>{}</del> <ins>{}</ins>").format(old, new)
    parts = []
    for what, i1, i2, j1, j2 in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        gone, came = "".join(before[i1:i2]), "".join(after[j1:j2])
        if what == "equal":
            parts.append(escape(came))
            continue
        if gone.strip():
            parts.append(Markup("<del>{}</del>").format(gone))
        if came:
            parts.append(Markup("<ins>{}</ins>").format(came) if came.strip() else escape(came))
    return Markup("").join(parts)


def _files(old: Asked, new: Asked) -> tuple[str, ...]:
    before = {file.procore_id or file.sha256: file for file in old.files}
    after = {file.procore_id or file.sha256: file for file in new.files}
    gone = [f"Removed: {file.name}" for one, file in before.items() if one not in after]
    came = [f"Added: {file.name}" for one, file in after.items() if one not in before]
    return (*gone, *came)
