"""Refusals of a domain operation, as the API words them and as a page can show them.

Procore answers errors in many shapes; each class has the shape that its kind of refusal has in
the wild, and the whole list stands in `body`.
"""

from typing import Any


class Refusal(Exception):  # noqa: N818 - an answer, not a fault of the stand-in
    """An operation that the acting user may not do, or not like this.

    Attributes:
        status: HTTP status of the API's answer.
        words: sentences for a person, as shown in a page's alert.
        fields: the sentences by field name, when they belong to fields.
    """

    status = 400

    def __init__(self, *words: str, fields: dict[str, list[str]] | None = None) -> None:
        self.fields = fields or {}
        named = [f"{_label(name)} {w}" for name, ws in self.fields.items() for w in ws]
        self.words = list(words) or named
        super().__init__("; ".join(self.words))

    def body(self) -> Any:
        """JSON body in the shape of this kind."""
        return {"errors": self.fields or self.words}


class BadRequest(Refusal):
    """400: malformed, missing or invalid parameters."""

    status = 400


class Forbidden(Refusal):
    """403: permission, disabled tool, or app not connected."""

    status = 403

    def __init__(self, *words: str) -> None:
        super().__init__(*(words or ("You do not have permission to perform this action.",)))


class NotFound(Refusal):
    """404: absent, or invisible to this user."""

    status = 404

    def __init__(self, *words: str) -> None:
        super().__init__(*(words or ("Resource not found.",)))

    def body(self) -> Any:
        return {"errors": self.words[0]}


class Conflict(Refusal):
    """409: duplicate or state conflict."""

    status = 409

    def body(self) -> Any:
        return {"error": {"code": "CONFLICT", "message": self.words[0]}}


class Gone(Refusal):
    """410: an expired upload."""

    status = 410

    def body(self) -> Any:
        return {"message": self.words[0]}


class Unprocessable(Refusal):
    """422: validation or business rule."""

    status = 422


def _label(field: str) -> str:
    return field.replace("_", " ").capitalize() if field != "base" else ""
