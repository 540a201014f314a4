"""The promtool that tests alerts: an installed one, else one taken out of Debian's package."""

import shutil
import subprocess
from pathlib import Path

from deploy.local.runs import DATA_FOLDER

_FOLDER = DATA_FOLDER / "cache" / "promtool"
_FETCHED = _FOLDER / "usr" / "bin" / "promtool"


def promtool_path() -> Path | None:
    """Return the executable, or None where there is none; `ensure_promtool` may get one."""
    installed = shutil.which("promtool")
    if installed:
        return Path(installed)
    return _FETCHED if _FETCHED.exists() else None


def ensure_promtool() -> Path | None:
    """Return the executable, fetched where apt-get knows the package `prometheus`.

    The package is unpacked and not installed: installing it would start a Prometheus here.
    None: this machine has neither; the alerts' tests then say that they were skipped.
    """
    if (found := promtool_path()) or not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        return found
    print("==> Fetching promtool from the package prometheus", flush=True)
    _FOLDER.mkdir(parents=True, exist_ok=True)
    if not _run("apt-get", "download", "prometheus"):
        _run("apt-get", "update")
        _run("apt-get", "download", "prometheus")
    for package in _FOLDER.glob("prometheus_*.deb"):
        _run("dpkg-deb", "-x", package.name, ".")
        package.unlink()
    return promtool_path()


def _run(*command: str) -> bool:
    done = subprocess.run(command, cwd=_FOLDER, stdin=subprocess.DEVNULL, check=False)
    return done.returncode == 0
