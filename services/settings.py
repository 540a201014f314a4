"""Settings from the environment, read once at start and checked as a whole.

Each program declares a frozen dataclass and builds it through a `Reader`, which collects every
fault instead of stopping at the first. Any secret may come from a file named by the same variable
with `_FILE` behind it.
"""

import base64
import binascii
import ipaddress
import os
import re
import ssl
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, TypeVar
from urllib.parse import urlsplit

from services.covering import forms, forms_of_bytes, know

EX_CONFIG = 78
SECURITY_PROTOCOLS = ("plaintext", "ssl", "sasl_plaintext", "sasl_ssl")
SASL_MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
HOST_AND_PORT = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^\s:/@\[\]]+):[0-9]{1,5}")
TOPIC_PREFIX = re.compile(r"[a-zA-Z0-9._-]{0,200}")
T = TypeVar("T")


class BadSettings(Exception):  # noqa: N818 - reads as what it is where it is caught
    """One or more settings are missing or wrong; `faults` names each with what to do."""

    def __init__(self, faults: list[str]) -> None:
        self.faults = faults
        super().__init__("; ".join(faults))


class Secret:
    """A value that must not be seen: its `repr` and `str` are stars. Use `reveal()`.

    While it lives, it is covered in what is logged of exceptions too.
    """

    __slots__ = ("__weakref__", "_value")

    def __init__(self, value: str) -> None:
        self._value = value
        know(self)

    def written(self) -> tuple[str, ...]:
        """Return how the value may stand in a text."""
        return forms(self._value)

    def reveal(self) -> str:
        """Return the value itself."""
        return self._value

    def __repr__(self) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Key:
    """A symmetric key with its name. `secret` is the decoded bytes."""

    id: str
    secret: bytes

    def __post_init__(self) -> None:
        know(self)

    def written(self) -> tuple[str, ...]:
        """Return how the key may stand in a text."""
        return forms_of_bytes(self.secret)

    def __repr__(self) -> str:
        return f"Key({self.id!r}, ***)"


@dataclass(frozen=True, slots=True)
class KeyRing:
    """Keys in order: the first one signs or seals, all verify or open."""

    keys: tuple[Key, ...]

    @property
    def first(self) -> Key:
        """The key that signs or seals."""
        return self.keys[0]

    def get(self, key_id: str) -> Key | None:
        """Return the key of that name, or None."""
        return next((key for key in self.keys if key.id == key_id), None)


class Reader:
    """Reads variables of one environment and gathers the faults, which `finish()` raises."""

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        self._environ = os.environ if environ is None else environ
        self.faults: list[str] = []

    def finish(self) -> None:
        """Raise BadSettings with every fault found, if there is one."""
        if self.faults:
            raise BadSettings(self.faults)

    def raw(self, name: str) -> str | None:
        """Return the variable's text, or the file's that `NAME_FILE` points to, or None."""
        value = self._environ.get(name)
        path = self._environ.get(f"{name}_FILE") or None  # empty is not set, as with the others
        if value is not None and path is not None:
            self.faults.append(f"{name} and {name}_FILE are both set: set only one of them")
        if value is None and path is not None:
            try:
                value = Path(path).read_text(encoding="utf-8").rstrip("\r\n")
            except (OSError, UnicodeDecodeError) as error:
                self.faults.append(
                    f"{name}_FILE: cannot read {path} ({type(error).__name__}): "
                    "name a readable UTF-8 file"
                )
        return value or None

    def text(self, name: str, default: str | None = None) -> str:
        """Return a required text, or its default."""
        value = self.raw(name)
        if value is None and default is None and not self._has_fault(f"{name}_FILE"):
            self.faults.append(f"{name} is not set: it is required")
        return value if value is not None else (default or "")

    def _has_fault(self, name: str) -> bool:
        return any(fault.startswith(name) for fault in self.faults)

    def secret(self, name: str) -> Secret:
        """Return a required text that must not be seen."""
        return Secret(self.text(name))

    def optional_secret(self, name: str) -> Secret | None:
        """Return a text that must not be seen, or None when it is not set."""
        value = self.raw(name)
        return None if value is None else Secret(value)

    def choice(self, name: str, allowed: tuple[str, ...], default: str) -> str:
        """Return one of the allowed words."""
        value = self.text(name, default).lower()
        if value not in allowed:
            self.faults.append(f"{name} is {value!r}: it must be one of {', '.join(allowed)}")
        return value

    def seconds(self, name: str, default: float, *, at_least: float = 0.0) -> float:
        """Return a duration in seconds; decimals are fine."""
        return self._number(name, float, default, at_least, "a number of seconds")

    def port(self, name: str, default: int) -> int:
        """Return a TCP port; 0 lets the system choose one."""
        port = self._number(name, int, default, 0, "a port number")
        if port > 65535:  # noqa: PLR2004 - the highest TCP port
            self.faults.append(f"{name} is {port}: a port is at most 65535")
        return port

    def count(self, name: str, default: int) -> int:
        """Return a whole number, 0 or more."""
        return self._number(name, int, default, 0, "a whole number")

    def _number(
        self, name: str, kind: Callable[[str], T], default: T, at_least: float, what: str
    ) -> T:
        value = self.raw(name)
        if value is None:
            return default
        try:
            number = kind(value)
            if not at_least <= number < float("inf"):  # type: ignore[operator]
                self.faults.append(f"{name} is {value!r}: it must be at least {at_least:g}")
                return default
        except ValueError:
            self.faults.append(f"{name} is {value!r}: it must be {what}")
            return default
        return number

    def url(self, name: str, default: str | None = None) -> str:
        """Return an http(s) URL without a trailing slash; plain http for loopback hosts only."""
        value = self.text(name, default).rstrip("/")
        if value:
            self._check_url(f"{name} is", value)
        return value

    def urls(self, name: str) -> tuple[str, ...]:
        """Return comma-separated URLs, in order; at least one."""
        parts = (part.strip().rstrip("/") for part in self.text(name).split(","))
        values = tuple(part for part in parts if part)
        for value in values:
            self._check_url(f"{name} holds", value)
        if not values and not self._has_fault(name):
            self.faults.append(f"{name} holds no URL: write one, or several with commas")
        return values

    def _check_url(self, words: str, value: str) -> None:
        if "@" in value:  # whatever stands before it is a password, and stays unseen
            self.faults.append(f"{words} a URL with a user name or password: leave them out")
        elif fault := url_fault(value):
            self.faults.append(f"{words} {value!r}: {fault}")

    def database_url(self, name: str = "DATABASE_URL") -> Secret:
        """Return a required `postgresql://` URL. It holds a password, so no fault shows it."""
        value = self.text(name)
        if value and (fault := _database_fault(value)):
            self.faults.append(f"{name}: {fault}")
        return Secret(value)

    def key_ring(self, name: str, *, length: int | None = None) -> KeyRing:
        """Return keys written `id:base64,…`. Faults never show key material."""
        keys: list[Key] = []
        for place, part in enumerate(self.text(name).split(","), start=1):
            if not part.strip():
                continue
            key_id, _, encoded = part.strip().partition(":")
            try:
                secret = base64.b64decode(encoded, validate=True)
            except binascii.Error:
                self.faults.append(f"{name}: entry {place} is not id:base64")
                continue
            if not key_id or (len(secret) != length if length else len(secret) < 16):  # noqa: PLR2004 - 128 bits
                wanted = f"exactly {length}" if length else "at least 16"
                self.faults.append(f"{name}: entry {place} needs an id and {wanted} bytes of key")
                continue
            keys.append(Key(key_id, secret))
        if len({key.id for key in keys}) != len(keys):
            self.faults.append(f"{name}: two keys have the same id")
        if not keys and not self._has_fault(name):
            self.faults.append(f"{name} holds no key: write id:base64,…")
        return KeyRing(tuple(keys))


def url_fault(value: str) -> str | None:
    """Say what is wrong with a URL, or None: https, or http on a loopback host."""
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "it is not a URL"
    if parts.scheme not in ("http", "https") or not host:
        return "it must be an http or https URL with a host"
    if parts.scheme == "http" and not is_loopback(host):
        return "plain http is accepted for loopback hosts only; use https"
    return None


def _database_fault(value: str) -> str | None:
    """Say what is wrong with a database's URL, or None, without a word of its content."""
    if not value.startswith(("postgresql://", "postgres://")):
        return "it must be postgresql://user:password@host:port/database"
    try:
        parts = urlsplit(value)
        _ = parts.hostname, parts.port
    except ValueError:
        return "its host or port cannot be read: percent-encode what is special in the password"
    return None


def is_loopback(host: str) -> bool:
    """Tell whether a host name means this machine, without asking a name server."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class KafkaSettings:
    """How to reach Kafka, and the prefix of the topics."""

    bootstrap_servers: str
    topic_prefix: str
    security_protocol: str
    sasl_mechanism: str | None
    sasl_username: str | None
    sasl_password: Secret | None
    ca_file: str | None

    @classmethod
    def read(cls, reader: Reader) -> "KafkaSettings":
        """Read the `KAFKA_…` variables."""
        protocol = reader.choice("KAFKA_SECURITY_PROTOCOL", SECURITY_PROTOCOLS, "plaintext")
        settings = cls(
            bootstrap_servers=reader.text("KAFKA_BOOTSTRAP_SERVERS"),
            topic_prefix=reader.text("KAFKA_TOPIC_PREFIX", ""),
            security_protocol=protocol.upper(),
            sasl_mechanism=reader.raw("KAFKA_SASL_MECHANISM"),
            sasl_username=reader.raw("KAFKA_SASL_USERNAME"),
            sasl_password=reader.optional_secret("KAFKA_SASL_PASSWORD"),
            ca_file=reader.raw("KAFKA_CA_FILE"),
        )
        reader.faults += _kafka_faults(settings)
        return settings


def _kafka_faults(settings: KafkaSettings) -> list[str]:
    """Say what would otherwise be found out at the first connection, in a traceback."""
    servers = settings.bootstrap_servers.split(",") if settings.bootstrap_servers else ()
    faults = [
        f"KAFKA_BOOTSTRAP_SERVERS holds {server.strip()!r}: write host:port,…"
        for server in servers
        if not HOST_AND_PORT.fullmatch(server.strip())
    ]
    if not TOPIC_PREFIX.fullmatch(settings.topic_prefix):
        faults.append(
            f"KAFKA_TOPIC_PREFIX is {settings.topic_prefix!r}: "
            "at most 200 letters, digits, dots, dashes and underscores"
        )
    if settings.security_protocol.startswith("SASL"):
        given = {
            "KAFKA_SASL_USERNAME": settings.sasl_username,
            "KAFKA_SASL_PASSWORD": settings.sasl_password,
        }
        protocol = settings.security_protocol.lower()
        faults += [
            f"{name} is not set: KAFKA_SECURITY_PROTOCOL {protocol} requires it"
            for name, value in given.items()
            if not value
        ]
        if settings.sasl_mechanism not in (None, *SASL_MECHANISMS):
            faults.append(
                f"KAFKA_SASL_MECHANISM is {settings.sasl_mechanism!r}: "
                f"it must be one of {', '.join(SASL_MECHANISMS)}"
            )
    if settings.ca_file and settings.security_protocol.endswith("SSL"):
        try:
            ssl.create_default_context(cafile=settings.ca_file)
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            faults.append(
                f"KAFKA_CA_FILE: cannot use {settings.ca_file} ({type(error).__name__}): "
                "name a readable file of PEM certificates"
            )
    return faults


@dataclass(frozen=True, slots=True)
class LogSettings:
    """How much to log, and in which form."""

    level: str
    format: str

    @classmethod
    def read(cls, reader: Reader) -> "LogSettings":
        """Read `LOG_LEVEL` and `LOG_FORMAT`."""
        levels = ("debug", "info", "warning", "error", "critical")
        return cls(
            level=reader.choice("LOG_LEVEL", levels, "info"),
            format=reader.choice("LOG_FORMAT", ("json", "console"), "json"),
        )


@dataclass(frozen=True, slots=True)
class BindSettings:
    """Where a program listens."""

    host: str
    port: int
    internal_port: int
    metrics_port: int

    @classmethod
    def read(cls, reader: Reader, *, port: int) -> "BindSettings":
        """Read `HTTP_HOST`, `HTTP_PORT` (default `port`), `INTERNAL_PORT`, `METRICS_PORT`."""
        return cls(
            host=reader.text("HTTP_HOST", "0.0.0.0"),  # noqa: S104 - a container's every address
            port=reader.port("HTTP_PORT", port),
            internal_port=reader.port("INTERNAL_PORT", 8082),
            metrics_port=reader.port("METRICS_PORT", 9090),
        )


def read_or_exit(read: Callable[[Reader], T]) -> T:
    """Read settings at a program's start; print every fault and end with 78 if there is one."""
    reader = Reader()
    settings = read(reader)
    try:
        reader.finish()
    except BadSettings as error:
        stop_for(error)
    return settings


def stop_for(error: BadSettings) -> NoReturn:
    """Print each fault on a line of its own and end the process with EX_CONFIG."""
    sys.stderr.write("The settings are not usable:\n")
    for fault in error.faults:
        sys.stderr.write(f"  - {fault}\n")
    raise SystemExit(EX_CONFIG)
