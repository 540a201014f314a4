"""Starts a Kafka and a PostgreSQL, says where they are, and keeps them until Ctrl-C.

Usage: python -m deploy.local.up
"""

import sys

from deploy.local.commands import run_command
from deploy.local.servers import local_servers


async def keep_up() -> int:
    """Print how programs find the servers, and stay until one of them fails or we are stopped."""
    print("Starting Kafka and PostgreSQL", file=sys.stderr, flush=True)
    async with local_servers() as servers:
        for name, value in servers.environment.items():
            print(f"export {name}={value}", flush=True)
        print("Both run until you press Ctrl-C.", file=sys.stderr, flush=True)
        await servers.run.watch()
    return 0


if __name__ == "__main__":
    sys.exit(run_command(keep_up()))
