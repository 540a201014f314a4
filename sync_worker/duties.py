"""What is due for whole projects now and then: probes, missed returns, hooks."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from services.errors import ConnectorError, TryLater
from services.postgres import Postgres
from services.procore.pacer import Priority
from sync_worker.activity import note
from sync_worker.inbound.mirror import Reader
from sync_worker.outbound.missed import ask_for_missed_returns
from sync_worker.outbound.outside import Part3Returns
from sync_worker.projects import Projects
from sync_worker.sweeping import Lists

log = structlog.get_logger()

EVERY_S = 1.0
HOOK_RETRY_S = 120.0

TAKE_HOOK = """
UPDATE mirror.projects SET hook_due_at = now() + make_interval(secs => $1)
WHERE project_id = (
  SELECT project_id FROM mirror.projects
  WHERE state = 'active' AND attention_reason IS NULL AND hook_due_at <= now()
  ORDER BY hook_due_at LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING project_id
"""
HOOK_AGAIN = """
UPDATE mirror.projects SET hook_due_at = now() + make_interval(secs => $2) WHERE project_id = $1
"""
SWEEP_NOW = "UPDATE mirror.sweeps SET due_at = now() WHERE project_id = $1"


@dataclass(frozen=True, slots=True)
class Duties:
    """Runs beside the worker's other loops; each duty is taken by one worker at a time.

    Args:
        ensure_hook: has a project's hook compared and repaired; returns ok, created or repaired.
        recheck_s: how often Part3 is asked for returns whose event never came.
        hook_audit_s: how often a hook is compared with what it should be.
    """

    postgres: Postgres
    projects: Projects
    procore: Lists
    part3: Part3Returns
    ensure_hook: Callable[[str], Awaitable[str]]
    wake_deliveries: Callable[[], None]
    wake_sweeps: Callable[[], None]
    recheck_s: float
    hook_audit_s: float

    async def run(self, stopping: asyncio.Event) -> None:
        """Work until told to stop."""
        while not stopping.is_set():
            try:
                await self._once()
            except TryLater as error:
                log.warning("duties.later", why=str(error))
            except Exception:
                # a fault of ours: the other duties and loops go on, and this one is tried again
                log.exception("duties.fault")
            try:
                async with asyncio.timeout(EVERY_S):
                    await stopping.wait()
            except TimeoutError:
                continue

    async def _once(self) -> None:
        while await self.projects.probe(self._can_read):
            pass
        if await ask_for_missed_returns(self.postgres, self.part3, every_s=self.recheck_s):
            self.wake_deliveries()
        project_id = await self.postgres.fetchval(TAKE_HOOK, self.hook_audit_s)
        if project_id is not None:
            await self._mind_hook(project_id)

    async def _can_read(self, reader: Reader) -> None:
        await self.procore.page(
            "rfi",
            reader.place,
            whose=reader.whose,
            priority=Priority.LOOK,
            number=1,
            updated_from=None,
            updated_to=None,
        )

    async def _mind_hook(self, project_id: str) -> None:
        """A hook that had to be mended lost events meanwhile, so the project is listed."""
        try:
            state = await self.ensure_hook(project_id)
        except ConnectorError as error:
            log.warning("hook.not_checked", project_id=project_id, why=str(error))
            await self.postgres.execute(HOOK_AGAIN, project_id, HOOK_RETRY_S)
            return
        if state != "ok":
            words = (
                "Procore's notices to us had stopped; they were set up again, "
                "and what was missed is being listed."
            )
            await note(self.postgres, project_id, "hook.repaired", words)
            await self.postgres.execute(SWEEP_NOW, project_id)
            self.wake_sweeps()
