"""Headers that every answer of the public port carries, whoever made it."""

from services.http_exchange import AsgiApp, Message, Receive, Scope, Send

HSTS = "max-age=31536000"
EVERYWHERE = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'",
    "cache-control": "no-store",
}


class SafeHeaders:
    """Adds what an answer does not say itself; pages say most of it, more exactly."""

    def __init__(self, app: AsgiApp, *, https: bool) -> None:
        self._app = app
        wanted = EVERYWHERE | ({"strict-transport-security": HSTS} if https else {})
        self._wanted = [(name.encode(), value.encode()) for name, value in wanted.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and complete the answer's headers."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def complete(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = list(message.get("headers") or ())
                said = {name.lower() for name, _ in headers}
                headers += [(name, value) for name, value in self._wanted if name not in said]
                message["headers"] = headers
            await send(message)

        await self._app(scope, receive, complete)
