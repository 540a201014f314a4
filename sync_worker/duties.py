"""What is due for whole projects now and then: readers, missed returns, hooks."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from services.errors import ConnectorError, TryLater
from services.postgres import Postgres
from sync_worker.activity import note
from sync_worker.outbound.missed import PendingReturns, ask_for_missed_returns
from sync_worker.readers import Readers
from sync_worker.unlinking import Unlinking

log = structlog.get_logger()

EVERY_S = 1.0
HOOK_RETRY_S = 120.0
HOOK_WORDS = {
    "repaired": "Procore's notices to us had stopped; they were set up again, "
    "and what was missed is being listed.",
    "missed": "Procore gave up some of its notices to us; what was missed is being listed.",
}

TAKE_HOOK = """
UPDATE mirror.projects SET hook_due_at = now() + make_interval(secs => $1)
WHERE project_id = (
  SELECT project_id FROM mirror.projects
  WHERE state = 'active' AND attention_reason IS NULL AND to_part3_paused IS NULL
    AND hook_due_at <= now()
  ORDER BY hook_due_at LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING project_id
"""
HOOK_AGAIN = """
UPDATE mirror.projects SET hook_due_at = now() + make_interval(secs => $2) WHERE project_id = $1
"""
HOOK_FOUND = """
UPDATE mirror.projects SET hook_checked_at = now(), hook_state = $2, hook_message = $3
WHERE project_id = $1
"""
# `wanted_at` too: a sweep under way began before the hook was mended
SWEEP_NOW = """
UPDATE mirror.sweeps SET due_at = now(), wanted_at = now(), retry_at = NULL WHERE project_id = $1
"""


@dataclass(frozen=True, slots=True)
class Duties:
    """Runs beside the worker's other loops; each duty is taken by one worker at a time.

    Args:
        readers: minds who can read which project.
        compare_one: makes a comparison of both sides that is due, if there is one.
        unlinking: undoes projects that were tied to the wrong one in Procore.
        ensure_hook: has a project's hook compared and repaired; returns ok, created, repaired, or
            missed when Procore gave up some of its deliveries.
        recheck_s: how often Part3 is asked for returns whose event never came.
        hook_audit_s: how often a hook is compared with what it should be.
    """

    postgres: Postgres
    readers: Readers
    part3: PendingReturns
    unlinking: Unlinking
    ensure_hook: Callable[[str], Awaitable[str]]
    wake_deliveries: Callable[[], None]
    wake_sweeps: Callable[[], None]
    compare_one: Callable[[], Awaitable[bool]]
    recheck_s: float
    hook_audit_s: float

    async def run(self, stopping: asyncio.Event) -> None:
        """Work until told to stop. Each duty goes its own pace: none waits for a slow side."""
        duties = (
            self.readers.probe,
            self.readers.return_to_owner,
            self.ask_for_returns,
            self.mind_a_hook,
            self.compare_one,
            self.unlinking.go_on,
        )
        async with asyncio.TaskGroup() as group:
            for duty in duties:
                _ = group.create_task(_again_and_again(duty, stopping))

    async def ask_for_returns(self) -> bool:
        """Ask Part3 for returns of projects that are due; there is never more of it at once."""
        if await ask_for_missed_returns(self.postgres, self.part3, every_s=self.recheck_s):
            self.wake_deliveries()
        return False

    async def mind_a_hook(self) -> bool:
        """Have one hook compared that is due; return whether there was one.

        One that had to be mended lost events meanwhile, so its project is listed.
        """
        project_id = await self.postgres.fetchval(TAKE_HOOK, self.hook_audit_s)
        if project_id is None:
            return False
        try:
            state = await self.ensure_hook(project_id)
        except ConnectorError as error:
            log.warning("hook.not_checked", project_id=project_id, why=str(error))
            await self.postgres.execute(HOOK_AGAIN, project_id, HOOK_RETRY_S)
            await self.postgres.execute(HOOK_FOUND, project_id, "unchecked", str(error))
            return True
        await self.postgres.execute(HOOK_FOUND, project_id, state, None)
        if state != "ok":
            words = HOOK_WORDS.get(state, HOOK_WORDS["repaired"])
            event = "hook.missed" if state == "missed" else "hook.repaired"
            await note(self.postgres, project_id, event, words)
            await self.postgres.execute(SWEEP_NOW, project_id)
            self.wake_sweeps()
        return True


async def _again_and_again(duty: Callable[[], Awaitable[bool]], stopping: asyncio.Event) -> None:
    """Do a duty as long as there is something to do, then look again every second."""
    while not stopping.is_set():
        try:
            if await duty():
                continue
        except TryLater as error:
            log.warning("duties.later", why=str(error))
        except Exception:
            # a fault of ours: the other duties and loops go on, and this one is tried again
            log.exception("duties.fault")
        try:
            async with asyncio.timeout(EVERY_S):
                _ = await stopping.wait()
        except TimeoutError:
            continue
