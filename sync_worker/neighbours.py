"""Whether another installation takes notices from our topics, so that each hears only a part.

Two databases on one Kafka without a prefix are one group to it. Each worker therefore joins under
its installation's name, and each looks now and then at the names that the others have.
"""

import asyncio
import hashlib
import math

import structlog

from schemas.notices import INSTALLATION, WORKER_GROUP
from services.errors import TryLater
from services.kafka import KafkaAway, clients_of
from services.postgres import Postgres
from services.settings import KafkaSettings
from sync_worker.outbound.marker import install_key

LOOK_EVERY_S = 60.0

# a copy of a database has its key, but is on another server
WHICH_SERVER = "SELECT (pg_control_system()).system_identifier::text"

log = structlog.get_logger()


class Neighbours:
    """Names this installation to Kafka, and watches for members of another one."""

    def __init__(self, postgres: Postgres, settings: KafkaSettings) -> None:
        self._postgres = postgres
        self._settings = settings
        self._name = ""
        self.foreign: float = math.nan
        """Members of our group that are another installation's; NaN while Kafka cannot be asked."""

    async def name(self) -> str:
        """Return this installation's name; empty while Postgres is away.

        It tells nothing of the key that it is made of.
        """
        if not self._name:
            try:
                key = await install_key(self._postgres)
                server: str = await self._postgres.fetchval(WHICH_SERVER)
            except TryLater:
                return ""
            self._name = INSTALLATION + hashlib.sha256(key + server.encode()).hexdigest()[:12]
        return self._name

    async def run(self, stopping: asyncio.Event) -> None:
        """Look until told to stop."""
        while not stopping.is_set():
            await self.look()
            try:
                async with asyncio.timeout(LOOK_EVERY_S):
                    _ = await stopping.wait()
            except TimeoutError:
                continue

    async def look(self) -> None:
        """Count the members of another installation, and say so in the log while there are any."""
        own = await self.name()
        try:
            clients = await clients_of(self._settings, WORKER_GROUP)
        except KafkaAway:
            self.foreign = math.nan
            return
        others = [name for name in clients if name.startswith(INSTALLATION) and name != own]
        self.foreign = float(len(others)) if own else math.nan
        if own and others:
            log.error("kafka.shared", ours=own, others=sorted({*others}), members=len(others))
