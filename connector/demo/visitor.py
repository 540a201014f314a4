"""A person at a browser without JavaScript: opens pages, follows links, presses buttons.

The demo plays its story through the same pages and forms that people use, found by the words
people see, so that what the demo shows is what a person would get.
"""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import urljoin

import httpx2
from bs4 import BeautifulSoup, Tag

TIMEOUT_S = 30.0
WITHIN = 5
"""How many of a control's surroundings count as near it."""

MAX_REDIRECTS = 20


class NotOnPage(Exception):  # noqa: N818 - says what happened
    """What was looked for is not on the page; the message shows what is."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A file chosen in a form."""

    name: str
    content: bytes
    content_type: str


@dataclass(slots=True)
class Visitor:
    """One person with one browser session.

    Attributes:
        name: who it is, for messages.
        url: where they are.
        page: what they see.
    """

    name: str
    client: httpx2.AsyncClient = field(
        default_factory=lambda: httpx2.AsyncClient(
            timeout=TIMEOUT_S, trust_env=False, headers={"accept": "text/html"}
        )
    )
    url: str = ""
    page: BeautifulSoup = field(default_factory=lambda: BeautifulSoup("", "html.parser"))
    status: int = 0

    async def close(self) -> None:
        """Close the browser."""
        await self.client.aclose()

    async def open(self, url: str) -> None:
        """Go to an address, following redirects as a browser does."""
        await self._go("GET", urljoin(self.url, url))

    async def follow(self, words: str) -> None:
        """Follow the link with these words (its accessible name)."""
        for link in self.page.find_all("a", href=True):
            if accessible_name(link) == words:
                await self.open(str(link["href"]))
                return
        raise NotOnPage(self._missing("link", words))

    async def press(
        self,
        button: str,
        fields: Mapping[str, str | bool] | None = None,
        files: Mapping[str, Upload] | None = None,
        *,
        within: str | None = None,
    ) -> None:
        """Fill the form that has this button, by its labels, and press the button.

        Args:
            button: the button's words.
            fields: label to value; for a select or radio the option's words, for a checkbox
                whether it is ticked.
            files: label to the file chosen.
            within: words that the form's surroundings must hold, when several have the button.
        """
        form, pressed = self._form_with(button, within, tuple(fields or ()))
        data = _values_of(form)
        if pressed.get("name"):
            data[str(pressed["name"])] = [str(pressed.get("value", ""))]
        for label, value in (fields or {}).items():
            self._fill(form, label, value, data)
        chosen = {
            str(self._control(form, label)["name"]): (
                upload.name,
                upload.content,
                upload.content_type,
            )
            for label, upload in (files or {}).items()
        }
        target = urljoin(self.url, str(pressed.get("formaction") or form.get("action") or self.url))
        method = str(pressed.get("formmethod") or form.get("method") or "get").upper()
        if method == "GET":
            await self._go("GET", str(httpx2.URL(target).copy_merge_params(data)))
        else:
            await self._go("POST", target, data, chosen)

    async def wait_for(self, words: str, *, seconds: float, step_s: float = 0.5) -> None:
        """Reload the page until it shows these words.

        Raises:
            NotOnPage: it did not within the time.
        """
        try:
            async with asyncio.timeout(seconds):
                while words not in self.text():
                    await asyncio.sleep(step_s)
                    await self.open(self.url)
        except TimeoutError as error:
            raise NotOnPage(self._missing("text", words)) from error

    def text(self) -> str:
        """Return all words on the page, spaces folded."""
        return " ".join(self.page.get_text(" ").split())

    def has(self, words: str) -> bool:
        """Tell whether the page shows these words."""
        return words in self.text()

    def state(self) -> str | None:
        """Return the page's `data-state`, if it has one."""
        main = self.page.find("main")
        return (
            str(main["data-state"])
            if isinstance(main, Tag) and "data-state" in main.attrs
            else None
        )

    async def _go(
        self,
        method: str,
        url: str,
        data: Mapping[str, list[str]] | None = None,
        files: Mapping[str, tuple[str, bytes, str]] | None = None,
    ) -> None:
        for _ in range(MAX_REDIRECTS):
            if method == "GET":
                answer = await self.client.get(url)
            else:
                answer = await self.client.post(url, data=data or {}, files=files or None)
            if answer.is_redirect:
                url = urljoin(url, answer.headers["location"])
                method = "GET"
                continue
            self.url, self.status = str(answer.url), answer.status_code
            self.page = BeautifulSoup(answer.text, "html.parser")
            return
        message = f"{self.name} was redirected in circles at {url}"
        raise NotOnPage(message)

    def _form_with(
        self, button: str, within: str | None, labels: tuple[str, ...]
    ) -> tuple[Tag, Tag]:
        """Find the form by its button; where several have one like it, by fields and words."""
        found = list(self._forms_with(button, within))
        if within is not None:  # the words stand around several: it is the one they are nearest to
            found.sort(key=lambda one: _distance(one[1], within) or 0)
        fitting = [one for one in found if all(self._has(one[0], label) for label in labels)]
        if not found:
            raise NotOnPage(self._missing("button", button))
        return (fitting or found)[0]

    def _forms_with(self, button: str, within: str | None) -> Iterator[tuple[Tag, Tag]]:
        for control in self.page.find_all(["button", "input"]):
            if control.name == "input" and control.get("type") not in ("submit", "image"):
                continue
            form = self._form_of(control)
            if accessible_name(control) != button or form is None:
                continue
            if within is None or _distance(control, within) is not None:
                yield form, control

    def _has(self, form: Tag, label: str) -> bool:
        try:
            return self._control(form, label) is not None
        except NotOnPage:
            return False

    def _form_of(self, control: Tag) -> Tag | None:
        if control.get("form"):
            form = self.page.find("form", id=str(control["form"]))
            return form if isinstance(form, Tag) else None
        return control.find_parent("form")

    def _control(self, form: Tag, label: str) -> Tag:
        for control in form.find_all(["input", "select", "textarea"]):
            if any(n == label or n.startswith(f"{label} ") for n in self._labels_of(control)):
                return control
        raise NotOnPage(self._missing("field", label))

    def _labels_of(self, control: Tag) -> list[str]:
        names = [str(control.get("aria-label", ""))]
        if control.get("id"):
            names += [
                fold(label.get_text(" "))
                for label in self.page.find_all("label", attrs={"for": control["id"]})
            ]
        if (around := control.find_parent("label")) is not None:
            own = control.get_text(" ")
            names.append(fold(around.get_text(" ").replace(own, "") if own else around.get_text()))
        return names

    def _fill(self, form: Tag, label: str, value: str | bool, data: dict[str, list[str]]) -> None:
        control = self._control(form, label)
        name = str(control["name"])
        kind = str(control.get("type", control.name))
        if kind == "checkbox":
            data.pop(name, None)
            if value:
                data[name] = [str(control.get("value", "on"))]
        elif kind == "radio":
            data[name] = [str(control.get("value", "on"))]
        elif control.name == "select":
            data[name] = [_option_of(control, str(value))]
        else:
            data[name] = [str(value)]

    def _missing(self, what: str, words: str) -> str:
        buttons = [accessible_name(b) for b in self.page.find_all("button")]
        return (
            f"{self.name} looked for the {what} “{words}” at {self.url} (status {self.status}); "
            f"buttons there: {buttons}; the page says: {self.text()[:600]}"
        )


def _distance(control: Tag, words: str) -> int | None:
    """Return how far up the words stand that surround a control, or None: not near it."""
    around = enumerate(list(control.parents)[:WITHIN])
    return next((far for far, parent in around if words in parent.get_text(" ")), None)


def accessible_name(element: Tag) -> str:
    """Return the words by which people and screen readers know a control."""
    if element.get("aria-label"):
        return fold(str(element["aria-label"]))
    if element.name == "input":
        return fold(str(element.get("value", "")))
    return fold(element.get_text(" "))


def fold(text: str) -> str:
    """Fold white space, as a browser does when it shows text."""
    return " ".join(text.split())


def _values_of(form: Tag) -> dict[str, list[str]]:
    data: dict[str, list[str]] = {}
    for control in form.find_all(["input", "select", "textarea"]):
        name = control.get("name")
        kind = control.get("type", control.name)
        if (
            not name
            or control.has_attr("disabled")
            or kind in ("submit", "button", "file", "image")
        ):
            continue
        if kind in ("checkbox", "radio") and not control.has_attr("checked"):
            continue
        if control.name == "select":
            options = control.find_all("option")
            chosen = [o for o in options if o.has_attr("selected")]
            if not chosen and not control.has_attr("multiple"):
                chosen = options[:1]  # as a browser shows it
            data.setdefault(str(name), []).extend(_value_of(option) for option in chosen)
            continue
        text = (
            control.get_text()
            if control.name == "textarea"
            else control.get("value", "on" if kind == "checkbox" else "")
        )
        data.setdefault(str(name), []).append(str(text))
    return data


def _value_of(option: Tag) -> str:
    return str(option.get("value", fold(option.get_text())))


def _option_of(select: Tag, words: str) -> str:
    for option in select.find_all("option"):
        if words in (fold(option.get_text(" ")), _value_of(option)):
            return _value_of(option)
    offered = [fold(option.get_text(" ")) for option in select.find_all("option")]
    message = f"“{words}” is not among the choices {offered}"
    raise NotOnPage(message)
