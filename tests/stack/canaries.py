"""Looks for secrets in bytes, however they may be written there."""

import base64
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, quote_plus

LEAST_BYTES = 12  # a shorter one would be found by chance


def forms_of(secret: bytes) -> set[bytes]:
    """Return a secret as it is, and in base64, base64url, percent-encoded and hexadecimal."""
    forms = {secret, secret.hex().encode(), secret.hex().upper().encode()}
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        forms.add(encode(secret).rstrip(b"="))
        # where it stands at another place of three within a longer text, its middle is the same
        for before in (1, 2):
            inner = encode(b"\0" * before + secret)[4:-4]
            forms.add(inner)
    forms |= {quote(secret, safe="").encode(), quote_plus(secret).encode()}
    return {form for form in forms if len(form) >= LEAST_BYTES}


@dataclass
class Canaries:
    """Secrets by what they are, and where they were looked for."""

    forms: dict[str, set[bytes]] = field(default_factory=dict)
    searched: dict[str, int] = field(default_factory=dict)
    found: list[str] = field(default_factory=list)

    def add(self, what: str, secret: str | bytes) -> None:
        raw = secret.encode() if isinstance(secret, str) else secret
        assert len(raw) >= LEAST_BYTES, f"{what} is too short to be looked for"
        self.forms[what] = forms_of(raw)

    def look_in(self, where: str, pieces: Iterable[bytes | str | None]) -> None:
        """Search; `where` is the kind of place, and how much was searched is counted."""
        for piece in pieces:
            content = piece.encode("utf-8", "replace") if isinstance(piece, str) else piece or b""
            self.searched[where] = self.searched.get(where, 0) + len(content)
            self.found += (
                f"{what} in {where}"
                for what, forms in self.forms.items()
                if any(form in content for form in forms)
            )


def key_material(environment: Mapping[str, str]) -> Iterator[tuple[str, str | bytes]]:
    """Give every secret of a stack's environment, as it is written and decoded."""
    for name in (
        "WEBHOOK_SECRET_KEYS", "TOKEN_ENCRYPTION_KEYS", "PART3_LAUNCH_KEYS", "INTERNAL_API_KEYS",
    ):  # fmt: skip
        encoded = environment[name].partition(":")[2]
        yield name, encoded
        yield f"{name}, decoded", base64.b64decode(encoded)
    secret = environment["PART3_WEBHOOK_SECRETS"]
    yield "PART3_WEBHOOK_SECRETS", secret
    yield "PART3_WEBHOOK_SECRETS, decoded", base64.b64decode(secret.removeprefix("whsec_"))
    yield "PROCORE_CLIENT_SECRET", environment["PROCORE_CLIENT_SECRET"]
    yield "PART3_API_TOKEN", environment["PART3_API_TOKEN"]
