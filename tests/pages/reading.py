"""Somebody who opens pages and presses buttons, and what a page shows them."""

from collections.abc import Mapping
from html.parser import HTMLParser
from urllib.parse import urljoin

import httpx2
from bs4 import BeautifulSoup, Tag


class Visitor:
    """One person at one page; follows redirects as a browser does."""

    def __init__(self, client: httpx2.AsyncClient) -> None:
        self.client = client
        self.answer = httpx2.Response(204)
        self.page = BeautifulSoup("", "html.parser")
        self.url = ""

    async def open(self, path: str) -> "Visitor":
        return self._arrived(await self.client.get(urljoin(self.url, path), follow_redirects=True))

    async def send(self, path: str, fields: Mapping[str, str]) -> "Visitor":
        return self._arrived(await self.client.post(path, data=fields, follow_redirects=True))

    async def press(self, button: str, **chosen: str) -> "Visitor":
        form = self.form_with(button)
        fields = {**values_of(form), **chosen}
        path = urljoin(self.url, str(form["action"]))
        if form.get("method") == "post":
            return await self.send(path, fields)
        return await self.open(str(httpx2.URL(path, params=fields)))

    def form_with(self, button: str) -> Tag:
        for one in self.page.find_all("button"):
            if one.get_text(" ", strip=True) == button:
                form = one.find_parent("form")
                assert form is not None
                return form
        message = f"no button {button!r} on: {self.text}"
        raise AssertionError(message)

    @property
    def status(self) -> int:
        return self.answer.status_code

    @property
    def text(self) -> str:
        return " ".join(self.page.get_text(" ").split())

    @property
    def buttons(self) -> list[str]:
        return [one.get_text(" ", strip=True) for one in self.page.find_all("button")]

    @property
    def alert(self) -> str:
        return " ".join(" ".join(one.get_text(" ").split()) for one in self.alerts)

    @property
    def alerts(self) -> list[Tag]:
        return list(self.page.select("[role=alert]"))

    @property
    def choices(self) -> list[str]:
        return [one.get_text(" ", strip=True) for one in self.page.select(".choice label")]

    def main(self, attribute: str) -> str | None:
        main = self.page.find("main")
        assert main is not None
        value = main.get(attribute)
        return None if value is None else str(value)

    def _arrived(self, answer: httpx2.Response) -> "Visitor":
        self.answer = answer
        self.url = str(answer.url)
        self.page = BeautifulSoup(answer.text, "html.parser")
        return self


def values_of(form: Tag) -> dict[str, str]:
    """Return what a browser would send of a form that nobody touched."""
    values: dict[str, str] = {}
    for field in form.find_all("input"):
        ticked = field.get("type") not in ("radio", "checkbox") or field.has_attr("checked")
        if field.get("name") and ticked:
            values[str(field["name"])] = str(field.get("value", ""))
    return values


class Inline(HTMLParser):
    """Finds what a content security policy without `unsafe-inline` would stop."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = {name for name, _ in attrs}
        if tag == "style" or (tag == "script" and "src" not in names):
            self.found.append(tag)
        self.found += [name for name in names if name == "style" or name.startswith("on")]
        for name, value in attrs:
            if name in ("href", "src", "action") and (value or "").startswith("javascript:"):
                self.found.append(f"{name}={value}")
