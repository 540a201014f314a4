"""Makes `.venv` with everything the lock file names; run by whatever Python the machine has.

Needs nothing but the standard library, and syntax that an old Python can read far enough to be
told that it is too old.

Usage: python3 environment.py
"""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
LOCK_FILE = ROOT / "requirements.lock"
OLDEST = (3, 11)
_PIP_SETTINGS = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_ROOT_USER_ACTION": "ignore"}


def say(text: str) -> None:
    """Print a line at once, between those that pip prints."""
    print("==> " + text, flush=True)


def can_make_venv() -> bool:
    """Say whether this Python brings the pip that goes into a new environment."""
    asked = subprocess.run(
        [sys.executable, "-c", "import ensurepip, venv"], stderr=subprocess.DEVNULL, check=False
    )
    return asked.returncode == 0


def get_venv_package() -> None:
    """Have Debian or Ubuntu add what they split off Python, where we may; else say how to."""
    package = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
    if os.geteuid() == 0 and shutil.which("apt-get"):
        say(f"This Python cannot make virtual environments yet: installing {package} by apt-get")
        quiet = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
        for step in (["update"], ["install", "-y", "--no-install-recommends", package]):
            subprocess.run(["apt-get", *step], env=quiet, stdin=subprocess.DEVNULL, check=False)
        if can_make_venv():
            return
    sys.exit(
        f"{sys.executable} cannot make virtual environments: its ensurepip is missing.\n"
        f"On Debian or Ubuntu: sudo apt-get install {package}\n"
        "Then run the same command again."
    )


def run_pip(*arguments: str) -> None:
    """Run the environment's pip, its progress for all to see; end with its code if it fails."""
    pip = [str(VENV / "bin" / "python"), "-m", "pip"]
    done = subprocess.run(
        [*pip, *arguments],
        cwd=ROOT,
        env=dict(os.environ, **_PIP_SETTINGS),
        stdin=subprocess.DEVNULL,
        check=False,
    )
    if done.returncode != 0:
        sys.exit(
            f"pip {arguments[0]} ended with {done.returncode}; what it said above is the reason. "
            "Run the same command again to go on from here."
        )


def main() -> None:
    """Make the environment, or bring it up to the lock file."""
    if sys.version_info < OLDEST:
        version = ".".join(str(part) for part in sys.version_info[:3])
        sys.exit(f"Python 3.11 or newer is needed; {sys.executable} is {version}.")
    began_at = time.monotonic()
    if not can_make_venv():
        get_venv_package()
    say(f"Making .venv with Python {sys.version.split()[0]}")
    subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)
    packages = sum("==" in line for line in LOCK_FILE.read_text().splitlines())
    say(f"Installing {packages} packages from {LOCK_FILE.name}, some 260 MB the first time")
    run_pip("install", "--require-hashes", "-r", str(LOCK_FILE))
    say("Installing this project itself, to be edited in place")
    run_pip("install", "--no-deps", "--no-build-isolation", "--editable", ".")
    say(f"The environment is ready after {time.monotonic() - began_at:.0f} s")


if __name__ == "__main__":
    main()
