"""Settings of the Part3 stand-in, read once and checked as a whole."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

DEFAULT_PASSWORD = "harbour-street"
MIN_KEY_BYTES = 16


class BadSettings(Exception):  # noqa: N818  named for what happened
    """Every fault of the environment, one a line."""


@dataclass(frozen=True, kw_only=True)
class LaunchKey:
    key_id: str
    secret: bytes


@dataclass(frozen=True, kw_only=True)
class Settings:
    data: Path
    api_token: str
    webhook_secret: str  # whsec_…
    gateway_url: str  # events go to <gateway_url>/part3/events
    launch_key: LaunchKey  # the first of PART3_LAUNCH_KEYS signs
    connector_url: str
    host: str = "127.0.0.1"
    port: int = 8091
    public_url: str = "http://127.0.0.1:8091"  # what links in mails begin with
    smtp_host: str = "127.0.0.1"
    smtp_port: int = 1025
    max_file_bytes: int = 512 * 1024 * 1024
    password: str = DEFAULT_PASSWORD  # of the seeded people
    page_size: int = 100


class _Reader:
    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ
        self.faults: list[str] = []

    def text(self, name: str, default: str | None = None) -> str:
        path = self.environ.get(f"{name}_FILE")
        if path:
            try:
                return Path(path).read_text().strip()
            except OSError as error:
                self.faults.append(f"{name}_FILE: cannot be read ({error.strerror})")
                return ""
        value = self.environ.get(name, "").strip()
        if not value and default is None:
            self.faults.append(f"{name}: not set")
        return value or default or ""

    def number(self, name: str, default: int) -> int:
        value = self.text(name, str(default))
        if not value.isdecimal():
            self.faults.append(f"{name}: {value!r} is not a whole number")
            return default
        return int(value)

    def url(self, name: str, default: str | None = None) -> str:
        value = self.text(name, default).rstrip("/")
        if value and not value.startswith(("http://", "https://")):
            self.faults.append(f"{name}: {value!r} is not an http(s) address")
        return value

    def webhook_secret(self, name: str) -> str:
        value = self.text(name)
        if value and not (value.startswith("whsec_") and _decoded(value[6:])):
            self.faults.append(f"{name}: must be whsec_ and base64")
        return value

    def launch_key(self, name: str) -> LaunchKey:
        key_id, _, encoded = self.text(name).split(",")[0].strip().partition(":")
        secret = _decoded(encoded)
        if name in self.environ and (not key_id or len(secret) < MIN_KEY_BYTES):
            self.faults.append(f"{name}: must be id:base64 of at least {MIN_KEY_BYTES} bytes")
        return LaunchKey(key_id=key_id, secret=secret)


def _decoded(value: str) -> bytes:
    try:
        padded = value + "=" * (-len(value) % 4)
        return base64.b64decode(padded.replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError):
        return b""


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Read the environment; raises BadSettings naming every fault at once."""
    read = _Reader(environ)
    host = read.text("SANDBOX_PART3_HOST", "127.0.0.1")
    port = read.number("SANDBOX_PART3_PORT", 8091)
    settings = Settings(
        data=Path(read.text("SANDBOX_PART3_DATA", ".data/part3")),
        api_token=read.text("PART3_API_TOKEN"),
        webhook_secret=read.webhook_secret("PART3_WEBHOOK_SECRET"),
        gateway_url=read.url("GATEWAY_URL"),
        launch_key=read.launch_key("PART3_LAUNCH_KEYS"),
        connector_url=read.url("CONNECTOR_PUBLIC_URL"),
        host=host,
        port=port,
        public_url=read.url("SANDBOX_PART3_PUBLIC_URL", f"http://{host}:{port}"),
        smtp_host=read.text("SMTP_HOST", "127.0.0.1"),
        smtp_port=read.number("SMTP_PORT", 1025),
        max_file_bytes=read.number("SANDBOX_PART3_MAX_FILE_BYTES", 512 * 1024 * 1024),
        password=read.text("SANDBOX_PART3_PASSWORD", DEFAULT_PASSWORD),
    )
    if read.faults:
        raise BadSettings("\n".join(read.faults))
    return settings
