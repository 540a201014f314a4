"""A deadline for request bodies: whoever sends one by the drop is told so and let go."""

import asyncio

from starlette.exceptions import HTTPException

from services.http_exchange import AsgiApp, Message, Receive, Scope, Send

BODY_DEADLINE_S = 8.0
TOO_SLOW = 408


class BodyDeadline:
    """Ends requests whose body is not there in time; what comes after the body may last."""

    def __init__(self, app: AsgiApp, *, deadline_s: float = BODY_DEADLINE_S) -> None:
        self._app = app
        self._deadline_s = deadline_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with a body that comes in time."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        ends_at = asyncio.get_running_loop().time() + self._deadline_s
        complete = False

        async def receive_in_time() -> Message:
            nonlocal complete
            if complete:
                return await receive()
            try:
                async with asyncio.timeout_at(ends_at):
                    message = await receive()
            except TimeoutError as error:
                raise HTTPException(TOO_SLOW) from error
            complete = not message.get("more_body", False)
            return message

        await self._app(scope, receive_in_time, send)
