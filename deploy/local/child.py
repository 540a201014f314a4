"""Becomes a program of a run: leaves word of itself, gives up root if asked, then execs.

Run as a file of its own, with nothing but the standard library, so that it costs a program some
20 ms:  python -I -S child.py RECORD PARENT_PID STOP_SIGNAL USER COMMAND...

The record is written before the program begins. Whoever finds its run without an owner therefore
finds every program of it, however suddenly the owner went.
"""

import ctypes
import json
import os
import pwd
import sys
import time
from pathlib import Path

_PR_SET_SECUREBITS = 28
_SECBIT_NO_SETUID_FIXUP = 1 << 2
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_CAPABILITY_VERSION_3 = 0x20080522
_CAP_DAC_OVERRIDE = 1


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Data(ctypes.Structure):
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


def _checked(result: int) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _become(user: str) -> None:
    """Give up root for `user`, but go on reaching files below folders closed to it.

    PostgreSQL refuses to run as root, and a checkout in root's home is out of any other user's
    reach. Opening those folders to everyone would be worse than keeping this one capability.
    Where it cannot be kept, the program runs if its files can be reached without.
    """
    account = pwd.getpwnam(user)
    libc = ctypes.CDLL(None, use_errno=True)
    kept = sys.platform == "linux" and _keep_capabilities(libc)
    os.setgroups([])
    os.setgid(account.pw_gid)
    os.setuid(account.pw_uid)
    if kept:
        _drop_all_but_reaching(libc)


def _keep_capabilities(libc: ctypes.CDLL) -> bool:
    """Let the change of user take no capability away, and access() count those that are left."""
    try:
        _checked(libc.prctl(_PR_SET_SECUREBITS, _SECBIT_NO_SETUID_FIXUP, 0, 0, 0))
    except OSError as error:
        print(f"child: no capability to reach closed folders ({error})", file=sys.stderr)
        return False
    return True


def _drop_all_but_reaching(libc: ctypes.CDLL) -> None:
    bit = 1 << _CAP_DAC_OVERRIDE
    only = (_Data * 2)(_Data(bit, bit, bit), _Data(0, 0, 0))
    _checked(libc.capset(ctypes.byref(_Header(_CAPABILITY_VERSION_3, 0)), only))
    _checked(libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _CAP_DAC_OVERRIDE, 0, 0))


def main(arguments: list[str]) -> None:
    """Record this process, then become the command."""
    record, parent, stop_signal, user, *command = arguments
    entry = {"pid": os.getpid(), "stop_signal": int(stop_signal), "recorded_at": time.time()}
    unfinished = Path(f"{record}.{os.getpid()}")
    unfinished.write_text(json.dumps(entry))
    unfinished.replace(record)
    if os.getppid() != int(parent):
        sys.exit("child: the run ended before its program began")
    if user:
        _become(user)
    os.execvp(command[0], command)  # noqa: S606  # becoming the program is the point


if __name__ == "__main__":
    main(sys.argv[1:])
