"""Asks the program in this container whether it lives; ends with 0 if it does, else with 1.

Only the standard library, and only this container: `HTTP_HOST` and `METRICS_PORT` say where the
program listens, as they said to the program itself. An argument names another URL to ask instead.

Usage: python healthcheck.py [http://127.0.0.1:8091/login]
"""

import http.client
import os
import sys
from collections.abc import Mapping
from urllib.parse import urlsplit

TIMEOUT_S = 3.0
EVERY_ADDRESS = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared


def target(arguments: list[str], environ: Mapping[str, str]) -> tuple[str, int, str]:
    """Return host, port and path to ask. Raises ValueError when they cannot be read."""
    if arguments:
        parts = urlsplit(arguments[0])
        return parts.hostname or "127.0.0.1", parts.port or 80, parts.path or "/"
    host = environ.get("HTTP_HOST", "")
    return EVERY_ADDRESS.get(host, host), int(environ.get("METRICS_PORT") or "9090"), "/livez"


def main() -> int:
    """Return 0 when the answer is a success or a redirect."""
    try:
        host, port, path = target(sys.argv[1:], os.environ)
        connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
        connection.request("GET", path)
        status = connection.getresponse().status
    except (OSError, ValueError, http.client.HTTPException) as error:
        print(f"no answer: {type(error).__name__}: {error}")
        return 1
    print(f"{path}: {status}")
    return 0 if status < http.HTTPStatus.BAD_REQUEST else 1


if __name__ == "__main__":
    sys.exit(main())
