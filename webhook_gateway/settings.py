"""The gateway's settings."""

from dataclasses import dataclass

from services.settings import BindSettings, KafkaSettings, KeyRing, LogSettings, Reader
from webhook_gateway.part3 import secret_of

PORT = 8080


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """Everything the gateway reads at its start.

    Attributes:
        hook_keys: of `WEBHOOK_SECRET_KEYS`; a hook's secret made with any of them is accepted.
        part3_secrets: keys of `PART3_WEBHOOK_SECRETS`; a signature by any of them is accepted.
    """

    kafka: KafkaSettings
    bind: BindSettings
    log: LogSettings
    hook_keys: KeyRing
    part3_secrets: tuple[bytes, ...]

    @classmethod
    def read(cls, reader: Reader) -> "GatewaySettings":
        """Read the environment."""
        return cls(
            kafka=KafkaSettings.read(reader),
            bind=BindSettings.read(reader, port=PORT),
            log=LogSettings.read(reader),
            hook_keys=reader.key_ring("WEBHOOK_SECRET_KEYS"),
            part3_secrets=_part3_secrets(reader),
        )

    def __repr__(self) -> str:
        return f"GatewaySettings({self.bind}, ***)"


def _part3_secrets(reader: Reader) -> tuple[bytes, ...]:
    """Read `PART3_WEBHOOK_SECRETS`. Faults never show a secret."""
    text = reader.text("PART3_WEBHOOK_SECRETS")
    keys = []
    for place, part in enumerate(filter(None, text.split(",")), start=1):
        try:
            keys.append(secret_of(part.strip()))
        except ValueError as error:
            reader.faults.append(f"PART3_WEBHOOK_SECRETS: secret {place}: {error}")
    return tuple(keys)
