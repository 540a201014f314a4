"""The Chromium that page tests and the demo drive: an installed one, else one that is fetched."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from deploy.local.runs import DATA_FOLDER

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_APPLICATIONS = (
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
_FETCHED = DATA_FOLDER / "cache" / "browsers"
_FETCHED_PATTERNS = (
    "chromium-*/chrome-linux*/chrome",
    "chromium-*/chrome-mac*/*.app/Contents/MacOS/*",
)
_VERSION_TIMEOUT_S = 30


class BrowserMissing(Exception):  # noqa: N818  # says what is the case, as in services.errors
    """No Chromium is installed, and none could be fetched."""


def chromium_path() -> Path:
    """Return the executable of a Chromium on this machine, for Playwright's `executable_path`.

    Raises:
        BrowserMissing: there is none; `make setup-browser` gets one.
    """
    for path in _candidates():
        if _works(path):
            return path
    raise BrowserMissing("no Chromium on this machine; run `make setup-browser`")


def _candidates() -> list[Path]:
    installed = [shutil.which(name) for name in _NAMES]
    applications = [path for path in _APPLICATIONS if Path(path).exists()]
    fetched = [path for pattern in _FETCHED_PATTERNS for path in sorted(_FETCHED.glob(pattern))]
    return [Path(path) for path in [*installed, *applications, *fetched] if path]


def _works(path: Path) -> bool:
    """Say whether it starts: Ubuntu's `chromium-browser` may be a note that it has moved."""
    try:
        done = subprocess.run(
            [path, "--version"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_VERSION_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def ensure_chromium() -> Path:
    """Return a Chromium, after fetching one if there is none.

    Raises:
        BrowserMissing: none could be fetched; with what to do.
    """
    try:
        return chromium_path()
    except BrowserMissing:
        _fetch()
    try:
        return chromium_path()
    except BrowserMissing:
        raise BrowserMissing(
            "no Chromium on this machine, and none could be fetched: install the package "
            "`chromium` (or Google Chrome) and run the same command again"
        ) from None


def _fetch() -> None:
    """Get one from Debian where that is open to us, else Playwright's own into our cache."""
    if os.geteuid() == 0 and _is_debian():
        print("==> Installing Chromium by apt-get", flush=True)
        _run("apt-get", "update")
        if _run("apt-get", "install", "-y", "--no-install-recommends", "chromium"):
            return
    print("==> Downloading Playwright's Chromium", flush=True)
    # Root may add the system libraries it needs; for anybody else they have to be there.
    libraries = ["--with-deps"] if os.geteuid() == 0 and shutil.which("apt-get") else []
    _run(sys.executable, "-m", "playwright", "install", *libraries, "chromium")


def _is_debian() -> bool:
    """Say whether `apt-get install chromium` gives a Chromium; on Ubuntu it gives a snap."""
    release = Path("/etc/os-release")
    return release.exists() and "ID=debian" in release.read_text().splitlines()


def _run(*command: str) -> bool:
    environment = {"DEBIAN_FRONTEND": "noninteractive", "PLAYWRIGHT_BROWSERS_PATH": str(_FETCHED)}
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, env=os.environ | environment, check=False
    )
    return done.returncode == 0


if __name__ == "__main__":
    try:
        print(ensure_chromium())
    except BrowserMissing as missing:
        sys.exit(str(missing))
