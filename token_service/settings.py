"""What the token service is told by its environment."""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from services.settings import BindSettings, KeyRing, LogSettings, Reader, Secret

SEALING_KEY_BYTES = 32
LEASE_PER_DEADLINE = 1.05
CALLBACK_PATH = "/oauth/procore/callback"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every setting of the token service; names and meanings as in docs/configuration.md."""

    bind: BindSettings
    log: LogSettings
    database_url: Secret
    webhook_keys: KeyRing
    sealing_keys: KeyRing
    launch_keys: KeyRing
    internal_keys: KeyRing
    procore_login_url: str
    procore_api_url: str
    procore_client_id: str
    procore_client_secret: Secret
    procore_pkce: bool
    public_url: str
    gateway_public_url: str
    part3_api_url: str
    part3_api_token: Secret
    part3_origin: str
    refresh_deadline_s: float
    refresh_lease_s: float
    spool_folder: Path

    @property
    def callback_url(self) -> str:
        """Where Procore sends people back to; registered there character for character."""
        return self.public_url + CALLBACK_PATH

    @property
    def https(self) -> bool:
        """Whether people reach the pages over TLS, which decides on `Secure` and `__Host-`."""
        return urlsplit(self.public_url).scheme == "https"

    @classmethod
    def read(cls, reader: Reader) -> "Settings":
        """Read all settings; faults are gathered in `reader`."""
        deadline_s = reader.seconds("REFRESH_DEADLINE_S", 60.0, at_least=0.1)
        # a lease that ends before the call it guards guards nothing
        lease_s = max(
            reader.seconds("REFRESH_LEASE_S", 90.0, at_least=0.1), deadline_s * LEASE_PER_DEADLINE
        )
        return cls(
            bind=BindSettings.read(reader, port=8081),
            log=LogSettings.read(reader),
            database_url=reader.database_url(),
            webhook_keys=reader.key_ring("WEBHOOK_SECRET_KEYS"),
            sealing_keys=reader.key_ring("TOKEN_ENCRYPTION_KEYS", length=SEALING_KEY_BYTES),
            launch_keys=reader.key_ring("PART3_LAUNCH_KEYS"),
            internal_keys=reader.key_ring("INTERNAL_API_KEYS"),
            procore_login_url=reader.url("PROCORE_LOGIN_URL"),
            procore_api_url=reader.url("PROCORE_API_URL"),
            procore_client_id=reader.text("PROCORE_CLIENT_ID"),
            procore_client_secret=reader.secret("PROCORE_CLIENT_SECRET"),
            procore_pkce=reader.choice("PROCORE_PKCE", ("on", "off"), "on") == "on",
            public_url=reader.url("PUBLIC_URL"),
            gateway_public_url=reader.url("GATEWAY_PUBLIC_URL"),
            part3_api_url=reader.url("PART3_API_URL"),
            part3_api_token=reader.secret("PART3_API_TOKEN"),
            part3_origin=reader.url("PART3_ORIGIN"),
            refresh_deadline_s=deadline_s,
            refresh_lease_s=lease_s,
            spool_folder=_spool_folder(reader),
        )


def _spool_folder(reader: Reader) -> Path:
    """Return where sealed tokens wait while Postgres is away; it must outlive a restart."""
    named = reader.raw("REFRESH_SPOOL_DIR") or os.environ.get("STATE_DIRECTORY")
    folder = (
        Path(named) if named else Path(tempfile.gettempdir()) / f"part3-connector-{os.getuid()}"
    )
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if folder.stat().st_uid != os.getuid() or not os.access(folder, os.W_OK | os.X_OK):
            reader.faults.append(
                f"REFRESH_SPOOL_DIR: {folder} must be a folder of this user's own, writable"
            )
    except OSError as error:
        reader.faults.append(
            f"REFRESH_SPOOL_DIR: cannot make {folder} ({type(error).__name__}): "
            "name a folder that can be written and outlives a restart"
        )
    return folder
