"""The live stream of a backfill's progress, as server-sent events.

A stream ends by itself after a few minutes; the browser opens the next one, which asks again who
the visitor is. Without JavaScript the page loads itself again and shows the same words.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

import msgspec
import structlog
from starlette.responses import StreamingResponse

from services.errors import TryLater
from token_service.public.progress import PageState, Standing, live_values

STEP_S = 1.0
STREAM_LASTS_S = 240.0
RECONNECT_MS = 2000
STREAM_HEADERS = {
    "cache-control": "no-store",
    "x-accel-buffering": "no",  # nginx would hold the events back
    "x-content-type-options": "nosniff",
}

log = structlog.get_logger()
ReadState = Callable[[], Awaitable[tuple[PageState, Standing]]]


def stream_progress(read: ReadState, ending: asyncio.Event) -> StreamingResponse:
    """Answer with `progress` events while the backfill runs, then one `moved`."""
    return StreamingResponse(
        progress_events(read, ending, step_s=STEP_S, lasts_s=STREAM_LASTS_S),
        media_type="text/event-stream",
        headers=STREAM_HEADERS,
    )


async def progress_events(
    read: ReadState, ending: asyncio.Event, *, step_s: float, lasts_s: float
) -> AsyncIterator[str]:
    """Yield events: each change of what the page shows, and the move to another state.

    Args:
        read: what the page would show now.
        ending: set when the program is asked to end, which an open stream must not hold up.
        step_s: pause between two looks.
        lasts_s: after this the browser has to come in again.
    """
    yield f"retry: {RECONNECT_MS}\n\n"
    sent = b""
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
        # a comment where nothing is new: proxies close what is silent, and only a write shows that
        # the browser is gone
        yield ":\n\n" if values == sent else f"event: progress\ndata: {values.decode()}\n\n"
        sent = values
        with suppress(TimeoutError):
            async with asyncio.timeout(step_s):
                await ending.wait()
                return
