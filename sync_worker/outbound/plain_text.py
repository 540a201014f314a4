"""HTML and plain text in one normal form, so that what a side rewrites on saving still agrees."""

import html
import unicodedata
from html.parser import HTMLParser

BLOCKS = frozenset(
    {"p", "div", "br", "li", "ul", "ol", "tr", "table", "h1", "h2", "h3", "h4", "h5", "h6"}
)
UNPRINTABLE = frozenset({"Cc", "Cs"})  # control characters, and halves of surrogate pairs
SILENT = frozenset({"script", "style"})


class _Words(HTMLParser):
    """Collects what a reader sees; each block begins a new line."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002 - the parser's signature
        self._silent += tag in SILENT
        if tag in BLOCKS:
            self.parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        self._silent = max(0, self._silent - (tag in SILENT))
        if tag in BLOCKS:
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.parts.append(data)


def words_of_html(markup: str) -> str:
    """Return what a person reads in `markup`, in the normal form of `words`."""
    parser = _Words()
    parser.feed(markup)
    parser.close()
    return words("".join(parser.parts))


def words(text: str) -> str:
    """Return `text` composed (NFC), with every run of white space as one space."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def words_unescaped(text: str) -> str:
    """Return `words` of a text that a side may have HTML-escaped on saving."""
    return words(html.unescape(text))


def printable(text: str) -> str:
    """Return `text` with plain line ends and without what no side can store or show."""
    unified = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(c for c in unified if c in "\n\t" or unicodedata.category(c) not in UNPRINTABLE)


def paragraphs(text: str) -> str:
    """Return an author's plain text as HTML: escaped, blank lines between paragraphs.

    The author's words must look the same in Procore, so nothing in them is read as markup.
    """
    blocks = [block.strip("\n") for block in text.strip("\n").split("\n\n")]
    return "".join(
        f"<p>{html.escape(block, quote=False).replace(chr(10), '<br>')}</p>"
        for block in blocks
        if block.strip()
    )
