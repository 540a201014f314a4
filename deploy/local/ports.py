"""Ports on 127.0.0.1 for the servers and programs of one run."""

import os
import random
import socket
import sys
from collections import deque
from pathlib import Path

LOOPBACK = "127.0.0.1"
_EPHEMERAL_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_LOWEST = 20000
_ATTEMPTS = 200
_REMEMBERED = 200  # far more than a run has, and few beside the files a process may open

_given: deque[int] = deque(maxlen=_REMEMBERED)
_held: deque[int] = deque()  # open sockets by file descriptor; they close with the process


def _highest() -> int:
    """Return the last port below those that the system hands to outgoing connections."""
    try:
        first_ephemeral = int(_EPHEMERAL_RANGE.read_text().split()[0])
    except OSError:  # not Linux; macOS starts at 49152
        first_ephemeral = 32768
    return first_ephemeral - 1 if first_ephemeral > _LOWEST + 1000 else 32767


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that nothing listens on, and that no run was given.

    It lies below the range of outgoing connections. A server that is killed and started again on
    its port would otherwise now and then find it taken, and a client that keeps trying a dead
    port within that range ends up connected to itself.

    Raises:
        RuntimeError: no free port was found.
    """
    chooser = random.SystemRandom()
    highest = _highest()
    for _ in range(_ATTEMPTS):
        port = chooser.randint(_LOWEST, highest)
        if port in _given:
            continue
        probe = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            probe.close()
            continue
        _reserve(port, probe)
        return port
    raise RuntimeError(f"no free port on {LOOPBACK} between {_LOWEST} and {highest}")


def _reserve(port: int, probe: socket.socket) -> None:
    """Keep others from being given the port as long as this process lives, server or no server.

    On Linux a socket that is bound and does not listen lets a server with SO_REUSEADDR bind beside
    it (each one sets that), but not the next probe, which has none.
    """
    _given.append(port)
    if sys.platform == "linux":
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        _held.append(probe.detach())
        if len(_held) > _REMEMBERED:
            os.close(_held.popleft())
    else:
        probe.close()
