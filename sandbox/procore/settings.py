"""Settings of the program, from the environment; arguments override them."""

import argparse
import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from sandbox.procore.control import AppOrder


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    host: str
    port: int  # 0: a free one
    storage_port: int
    data: Path
    public_url: str | None  # where others reach it; default: where it listens
    storage_url: str | None
    app: AppOrder | None  # registered at the start


def read_settings(arguments: list[str] | None = None) -> Settings:
    """Raises SystemExit with the usage on a bad argument."""
    env = os.environ
    parser = argparse.ArgumentParser(prog="python -m sandbox.procore", description=__doc__)
    parser.add_argument("--host", default=env.get("SANDBOX_PROCORE_HOST", "127.0.0.1"))
    parser.add_argument("--port", type=int, default=env.get("SANDBOX_PROCORE_PORT", "0"))
    parser.add_argument(
        "--storage-port", type=int, default=env.get("SANDBOX_PROCORE_STORAGE_PORT", "0")
    )
    parser.add_argument("--data", default=env.get("SANDBOX_PROCORE_DATA", ".data/procore"))
    given = parser.parse_args(arguments)
    return Settings(
        host=given.host,
        port=given.port,
        storage_port=given.storage_port,
        data=Path(given.data),
        public_url=env.get("SANDBOX_PROCORE_PUBLIC_URL"),
        storage_url=env.get("SANDBOX_PROCORE_STORAGE_URL"),
        app=_app(),
    )


def _app() -> AppOrder | None:
    env = os.environ
    client_id = env.get("SANDBOX_PROCORE_CLIENT_ID")
    if not client_id:
        return None
    redirects = env.get("SANDBOX_PROCORE_REDIRECT_URIS", "")
    return AppOrder(
        client_id=client_id,
        client_secret=_client_secret(env),
        redirect_uris=tuple(uri.strip() for uri in redirects.split(",") if uri.strip()),
    )


def _client_secret(env: Mapping[str, str]) -> str:
    """The app's secret, or what the file holds that `SANDBOX_PROCORE_CLIENT_SECRET_FILE` names."""
    if path := env.get("SANDBOX_PROCORE_CLIENT_SECRET_FILE"):
        return Path(path).read_text(encoding="utf-8").strip()
    return env.get("SANDBOX_PROCORE_CLIENT_SECRET", "")
