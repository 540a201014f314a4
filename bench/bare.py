"""The floor: what uvicorn and aiokafka alone cost for one delivery, with nothing checked.

It reads the body, writes it to Kafka on all in-sync replicas and answers 204: no verification, no
limits, no metrics, no reading of the body, and none of the headers of a CloudEvent. uvicorn and the
producer are set as the gateway sets them.
"""

import os
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import uvicorn
from aiokafka import AIOKafkaProducer

MAX_BATCH_BYTES = 131_072
Call = Callable[..., Awaitable[Any]]


class Bare:
    """One ASGI application with one producer."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self._bootstrap = bootstrap
        self._topic = topic
        self._producer: Any = None

    async def __call__(self, scope: dict[str, Any], receive: Call, send: Call) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        body, more = b"", True
        while more:
            message = await receive()
            body += message["body"]
            more = message["more_body"]
        key = scope["path"].split("/")[2].encode()
        await self._producer.send_and_wait(self._topic, body, key)
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def _live(self, receive: Call, send: Call) -> None:
        await receive()
        self._producer = AIOKafkaProducer(
            bootstrap_servers=self._bootstrap,
            acks="all",
            linger_ms=0,
            max_batch_size=MAX_BATCH_BYTES,
            request_timeout_ms=3_000,
        )
        await self._producer.start()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._producer.stop()
        await send({"type": "lifespan.shutdown.complete"})


if __name__ == "__main__":
    uvicorn.run(
        Bare(os.environ["KAFKA_BOOTSTRAP_SERVERS"], sys.argv[2]),
        host="127.0.0.1",
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
    )
