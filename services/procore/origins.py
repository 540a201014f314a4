"""Where files may come from and go to, and which of it is Procore's own and gets the bearer.

Source: Procore's documentation, `best_practices/secure_file_access_tips.md`: addresses are opaque
and their hosts change. What a host resolves to is checked by whoever connects, see
`services/checked_connections.py`.
"""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

import httpx2

from services.errors import TryLater
from services.settings import is_loopback

PROCORE_HOSTS = "https://*.procore.com"
NO_ORIGIN = "an address that is no URL"
DEFAULT_PORTS = {"https": 443, "http": 80}


class OriginRefused(TryLater):
    """The address leads where files may not come from, so nothing was asked there."""

    def __init__(self, origin: str) -> None:
        super().__init__(
            f"files may not come from {origin}: if it is Procore's, add it to PROCORE_FILE_ORIGINS",
            reason="file_origin_refused",
        )


@dataclass(frozen=True, slots=True)
class Origins:
    """Which origins files may come from and go to.

    Args:
        allowed: origins; `*` stands for one label of a host.
        own: origins of the settings' URLs, which may be private addresses.
        api: origin of the API, which gets the bearer.
    """

    allowed: tuple[str, ...]
    own: tuple[str, ...]
    api: str

    def takes_bearer(self, url: str) -> bool:
        """Tell whether the bearer may go there."""
        origin = origin_of(url)
        return origin == self.api or _matches(origin, PROCORE_HOSTS)

    def check(self, url: str) -> None:
        """Raise OriginRefused unless a file may come from there, as far as the address tells."""
        origin = origin_of(url)
        if origin in self.own or origin in self.allowed:
            return
        if not any(_matches(origin, pattern) for pattern in self.allowed):
            raise OriginRefused(origin)
        if not origin.startswith("https://") or _is_private(httpx2.URL(url).host):
            raise OriginRefused(origin)

    @property
    def literal(self) -> frozenset[tuple[str, int]]:
        """The hosts and ports that stand in the settings literally, which may be private."""
        named = [httpx2.URL(one) for one in (*self.own, *self.allowed) if "*" not in one]
        return frozenset((one.host, one.port or DEFAULT_PORTS.get(one.scheme, 0)) for one in named)


def origin_of(url: str) -> str:
    """Return a URL's origin in lower case, without a default port; no origin for what is no URL.

    Read by the client that will call it, so that both mean the same host.
    """
    try:
        parts = httpx2.URL(url)
    except httpx2.InvalidURL:
        return NO_ORIGIN
    given = f":{parts.port}" if parts.port is not None else ""
    host = f"[{parts.host}]" if ":" in parts.host else parts.host
    return f"{parts.scheme}://{host}{given}".lower()


def origins_of(urls: Sequence[str]) -> tuple[str, ...]:
    """Return the origins of some URLs."""
    return tuple(origin_of(url) for url in urls)


def joined(base: str, address: str) -> str:
    """Return an address, which may be a path, as a URL. Raises OriginRefused for what is none."""
    try:
        return str(httpx2.URL(base).join(address))
    except httpx2.InvalidURL as error:
        raise OriginRefused(NO_ORIGIN) from error


def _matches(origin: str, pattern: str) -> bool:
    """Tell whether an origin fits a pattern in which `*` is exactly one label."""
    mine, theirs = origin.split("."), pattern.lower().split(".")
    if len(mine) != len(theirs):
        return False
    for own, wanted in zip(mine, theirs, strict=True):
        if wanted.endswith("*"):
            prefix = wanted[:-1]
            label = own.removeprefix(prefix)
            if not own.startswith(prefix) or not label or set(label) & set("/:@"):
                return False
        elif own != wanted:
            return False
    return True


def _is_private(host: str) -> bool:
    """Tell a private address that is written out; names are resolved at the connect."""
    if is_loopback(host):
        return True
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return False
