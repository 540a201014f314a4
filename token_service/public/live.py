"""The live stream of a backfill's progress, as server-sent events.

A stream ends by itself after a few minutes; the browser opens the next one, which asks again who
the visitor is. Without JavaScript the page loads itself again and shows the same words.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import msgspec
import structlog
from starlette.responses import StreamingResponse

from services.errors import TryLater
from token_service.public.progress import PageState, Standing, live_values

STEP_S = 1.0
STREAM_LASTS_S = 240.0
RECONNECT_MS = 2000
KEEP_ALIVE_STEPS = 15  # proxies close what is silent for long
STREAM_HEADERS = {
    "cache-control": "no-store",
    "x-accel-buffering": "no",  # nginx would hold the events back
    "x-content-type-options": "nosniff",
}

log = structlog.get_logger()
ReadState = Callable[[], Awaitable[tuple[PageState, Standing]]]


def stream_progress(
    read: ReadState, *, step_s: float = STEP_S, lasts_s: float = STREAM_LASTS_S
) -> StreamingResponse:
    """Answer with `progress` events while the backfill runs, then one `moved`."""
    return StreamingResponse(
        progress_events(read, step_s=step_s, lasts_s=lasts_s),
        media_type="text/event-stream",
        headers=STREAM_HEADERS,
    )


async def progress_events(read: ReadState, *, step_s: float, lasts_s: float) -> AsyncIterator[str]:
    """Yield events: each change of what the page shows, and the move to another state."""
    yield f"retry: {RECONNECT_MS}\n\n"
    sent = b""
    silent_steps = 0
    for _ in range(max(1, round(lasts_s / step_s))):
        try:
            state, standing = await read()
        except TryLater as error:
            log.warning("progress.out_of_reach", reason=error.reason)
            return  # the browser comes back by itself after RECONNECT_MS
        if state != "backfilling":
            yield f"event: moved\ndata: {state}\n\n"
            return
        values = msgspec.json.encode(live_values(standing))
        if values != sent:
            yield f"event: progress\ndata: {values.decode()}\n\n"
            sent, silent_steps = values, 0
        elif silent_steps >= KEEP_ALIVE_STEPS:
            yield ": still here\n\n"
            silent_steps = 0
        silent_steps += 1
        await asyncio.sleep(step_s)
