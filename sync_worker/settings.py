"""The worker's settings."""

import platform
from dataclasses import dataclass

from services.settings import (
    BindSettings,
    KafkaSettings,
    KeyRing,
    LogSettings,
    Reader,
    Secret,
)
from sync_worker.poison import MOST_POISON

PORT = 8080
MOST_FILE_BYTES = 5 * 2**30
DEFAULT_FILE_ORIGINS = "https://*.procore.com,https://*.amazonaws.com"


@dataclass(frozen=True, slots=True)
class Timing:
    """Durations in seconds; what each is for stands in docs/configuration.md."""

    look_delay_s: float
    settle_s: float
    sweep_s: float
    audit_s: float
    write_deadline_s: float
    quiet_s: float
    recheck_s: float
    retry_max_s: float
    hook_audit_s: float
    kafka_session_timeout_s: float

    @classmethod
    def read(cls, reader: Reader) -> "Timing":
        """Read the `…_S` variables. The quiet period is never shorter than a write may take."""
        write_deadline_s = reader.seconds("WRITE_DEADLINE_S", 30, at_least=0.1)
        return cls(
            look_delay_s=reader.seconds("LOOK_DELAY_S", 1.5),
            settle_s=reader.seconds("SETTLE_S", 60, at_least=0.1),
            sweep_s=reader.seconds("SWEEP_S", 600, at_least=0.5),
            audit_s=reader.seconds("AUDIT_S", 86_400, at_least=1),
            write_deadline_s=write_deadline_s,
            quiet_s=max(reader.seconds("QUIET_S", 180, at_least=0.1), write_deadline_s),
            recheck_s=reader.seconds("RECHECK_S", 60, at_least=0.1),
            retry_max_s=reader.seconds("RETRY_MAX_S", 900, at_least=0.1),
            hook_audit_s=reader.seconds("HOOK_AUDIT_S", 3_600, at_least=1),
            kafka_session_timeout_s=reader.seconds("KAFKA_SESSION_TIMEOUT_S", 30, at_least=6),
        )


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """Everything a worker reads at its start."""

    kafka: KafkaSettings
    bind: BindSettings
    log: LogSettings
    timing: Timing
    database_url: Secret
    procore_api_url: str
    procore_login_url: str
    part3_api_url: str
    part3_api_token: Secret
    token_service_urls: tuple[str, ...]
    internal_keys: KeyRing
    file_origins: tuple[str, ...]
    worker_id: str
    poison_limit: int
    most_file_bytes: int | None

    @classmethod
    def read(cls, reader: Reader) -> "WorkerSettings":
        """Read the environment."""
        origins = reader.text("PROCORE_FILE_ORIGINS", DEFAULT_FILE_ORIGINS)
        return cls(
            kafka=KafkaSettings.read(reader),
            bind=BindSettings.read(reader, port=PORT),
            log=LogSettings.read(reader),
            timing=Timing.read(reader),
            database_url=reader.database_url(),
            procore_api_url=reader.url("PROCORE_API_URL"),
            procore_login_url=reader.url("PROCORE_LOGIN_URL"),
            part3_api_url=reader.url("PART3_API_URL"),
            part3_api_token=reader.secret("PART3_API_TOKEN"),
            token_service_urls=reader.urls("TOKEN_SERVICE_URL"),
            internal_keys=reader.key_ring("INTERNAL_API_KEYS"),
            file_origins=tuple(
                part.strip().rstrip("/").lower() for part in origins.split(",") if part.strip()
            ),
            worker_id=reader.text("WORKER_ID", platform.node() or "worker"),
            poison_limit=reader.count("POISON_LIMIT", MOST_POISON),
            most_file_bytes=reader.count("FILE_MAX_BYTES", MOST_FILE_BYTES) or None,
        )
