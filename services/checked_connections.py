"""Connections that lead only to public addresses, checked where it counts: at the connect.

A name that is resolved first and connected to later can lead elsewhere by then (DNS rebinding). So
the one who connects resolves, checks every address and connects to just those; the TLS name stays
the host's, as it is taken from the URL and not from the address.
Source: OWASP, Server-Side Request Forgery Prevention; docs/bad-inputs.md, 52.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpcore2
import httpx2

from services.errors import ConnectorError

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Gives the addresses of a host, as text. Raises OSError."""


class AddressRefused(ConnectorError):  # noqa: N818 - says what happened
    """A host leads to an address that is not public, so no connection was made."""


async def resolved(host: str, port: int) -> list[str]:
    """Return the addresses of a host, in the order to try them. Raises OSError."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(one[4][0]) for one in found))


def is_public(address: str) -> bool:
    """Tell whether an address is one of the public Internet; IPv4 within IPv6 counts as IPv4."""
    try:
        ip = ipaddress.ip_address(address.split("%", 1)[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or _nat64(ip)
        if inner is not None:
            return is_public(str(inner))
    return ip.is_global and not ip.is_multicast


def _nat64(ip: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address that a translator would lead to, of 64:ff9b::/96."""
    if ip not in ipaddress.IPv6Network("64:ff9b::/96"):
        return None
    return ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF)


@dataclass(slots=True)
class CheckedBackend(httpcore2.AsyncNetworkBackend):
    """Opens connections to what it has checked itself.

    Args:
        trusted: hosts and ports that stand in the settings, which may be private.
        resolve: gives a host's addresses.
        inner: opens the connections.
    """

    trusted: frozenset[tuple[str, int]]
    resolve: Resolve = resolved
    inner: httpcore2.AsyncNetworkBackend = field(default_factory=httpcore2.AnyIOBackend)

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the signature is httpcore2's
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Connect to the first address that answers.

        Raises:
            AddressRefused: one of the addresses is not public.
        """
        until = asyncio.get_running_loop().time() + (timeout or 0)
        fault: Exception = httpcore2.ConnectError(f"{host} has no address")
        for address in await self._addresses(host, port, timeout):
            left_s = max(until - asyncio.get_running_loop().time(), 0.01) if timeout else None
            try:
                return await self.inner.connect_tcp(
                    address, port, left_s, local_address, socket_options
                )
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                fault = error
        raise fault

    async def _addresses(self, host: str, port: int, timeout_s: float | None) -> Sequence[str]:
        try:
            async with asyncio.timeout(timeout_s):
                addresses = await self.resolve(host, port)
        except TimeoutError as error:
            message = f"the name {host} was not resolved in time"
            raise httpcore2.ConnectTimeout(message) from error
        except (OSError, UnicodeError) as error:
            message = f"the name {host} leads nowhere"
            raise httpcore2.ConnectError(message) from error
        if (host.lower(), port) in self.trusted:
            return addresses
        if not all(is_public(one) for one in addresses):
            message = f"{host} leads to an address that is not public"
            raise AddressRefused(message)
        return addresses

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)


class CheckedTransport(httpx2.AsyncHTTPTransport):
    """httpx2's transport over connections that a backend of ours opens; it takes no proxy."""

    def __init__(self, backend: httpcore2.AsyncNetworkBackend, limits: httpx2.Limits) -> None:
        super().__init__(trust_env=False, limits=limits)
        # httpx2 has no parameter for the backend; the pool is the one it would have made
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=httpx2.create_ssl_context(trust_env=False),
            max_connections=limits.max_connections,
            max_keepalive_connections=limits.max_keepalive_connections,
            keepalive_expiry=limits.keepalive_expiry,
            network_backend=backend,
        )
