"""`/livez`, `/readyz` and `/metrics`: what an orchestrator, a proxy and Prometheus ask a program.

`/livez` says whether a restart would help, so a missing Kafka or Postgres does not fail it;
`/readyz` says whether work can be done now, and if not, why.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from services.errors import ConnectorError
from services.metrics import Metrics

Check = Callable[[], Awaitable[None]]
"""Returns when a dependency is usable; raises ConnectorError (its message is shown) when not."""

Alive = Callable[[], str | None]
"""Returns why the process is stuck for good, or None."""

CHECK_TIMEOUT_S = 2.0
REMEMBERED_S = 1.0
NO_STORE = {"Cache-Control": "no-store"}


class Health:
    """What is known of a program's dependencies. Many askers cause one check a second."""

    def __init__(
        self,
        checks: Mapping[str, Check],
        *,
        alive: Mapping[str, Alive] | None = None,
        timeout_s: float = CHECK_TIMEOUT_S,
        remembered_s: float = REMEMBERED_S,
    ) -> None:
        self._checks = dict(checks)
        self._alive = dict(alive or {})
        self._timeout_s = timeout_s
        self._remembered_s = remembered_s
        self._lock = asyncio.Lock()
        self._faults: dict[str, str | None] = {}
        self._checked_at = float("-inf")

    def stuck(self) -> dict[str, str | None]:
        """Return, for each part that must move, why it does not, or None."""
        return {name: ask() for name, ask in self._alive.items()}

    async def faults(self) -> dict[str, str | None]:
        """Return, for each dependency, why it is not usable, or None."""
        async with self._lock:
            if time.monotonic() - self._checked_at > self._remembered_s:
                reasons = await asyncio.gather(*map(self._fault, self._checks.values()))
                self._faults = dict(zip(self._checks, reasons, strict=True))
                self._checked_at = time.monotonic()
        return self._faults

    async def _fault(self, check: Check) -> str | None:
        try:
            async with asyncio.timeout(self._timeout_s):
                await check()
        except TimeoutError:
            return f"no answer within {self._timeout_s:g} s"
        except ConnectorError as error:
            return str(error)
        except OSError as error:
            return f"{type(error).__name__}: {error.strerror or 'no connection'}"
        except Exception as error:  # noqa: BLE001 - whatever a driver raises, the answer is "not ready"
            return type(error).__name__  # its text may hold an address with a password
        return None


def health_routes(health: Health) -> list[BaseRoute]:
    """Return the routes `/livez` and `/readyz` for a Starlette application."""

    async def livez(_request: Request) -> Response:
        return _answer("alive", "stuck", health.stuck())

    async def readyz(_request: Request) -> Response:
        return _answer("ready", "not ready", await health.faults())

    return [Route("/livez", livez), Route("/readyz", readyz)]


def metrics_app(metrics: Metrics, health: Health) -> Starlette:
    """Return the application of a program's metrics port."""

    async def show(_request: Request) -> Response:
        headers = NO_STORE | {"Content-Type": metrics.content_type}
        return Response(metrics.render(), headers=headers)

    return Starlette(routes=[*health_routes(health), Route("/metrics", show)])


def _answer(good: str, bad: str, reasons: Mapping[str, str | None]) -> Response:
    fine = not any(reasons.values())
    checks = {
        name: {"ok": reason is None} | ({"reason": reason} if reason else {})
        for name, reason in reasons.items()
    }
    content = {"status": good if fine else bad, "checks": checks}
    return JSONResponse(content, 200 if fine else 503, NO_STORE)
