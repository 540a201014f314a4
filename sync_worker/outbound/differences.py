"""What changed in a question since somebody read it, in a few words. Pure."""

from difflib import SequenceMatcher

from sync_worker.outbound.versions import Said

AROUND = 4
"""Words shown on either side of a change."""

MOST_WORDS = 40


def differences(was: Said, now: Said) -> tuple[str, ...]:
    """Say what is other than it was: the text, files that came or went, the revision."""
    found = []
    if was.text != now.text:
        before, after = _excerpts(was.text.split(), now.text.split())
        found.append(f"It read “{before}” and reads “{after}” now.")
    found += [f"New file: “{now.files[one]}”." for one in now.files if one not in was.files]
    found += [f"Removed file: “{was.files[one]}”." for one in was.files if one not in now.files]
    if was.revision != now.revision:
        found.append(f"Revision {was.revision or '0'} is revision {now.revision or '0'} now.")
    return tuple(found)


def _excerpts(was: list[str], now: list[str]) -> tuple[str, str]:
    changed = [
        block
        for block in SequenceMatcher(None, was, now, autojunk=False).get_opcodes()
        if block[0] != "equal"
    ]
    first, last = changed[0], changed[-1]
    return _excerpt(was, first[1], last[2]), _excerpt(now, first[3], last[4])


def _excerpt(text: list[str], start: int, end: int) -> str:
    start = max(0, start - AROUND)
    end = min(len(text), end + AROUND)
    cut = min(end, start + MOST_WORDS)
    words = " ".join(text[start:cut])
    return f"{'… ' if start else ''}{words}{' …' if cut < len(text) else ''}"
