"""What the image contains is written down, and no lock has a flaw that is known here."""

import json
import re
from pathlib import Path

import pytest
from packaging.version import Version

ROOT = Path(__file__).parents[2]
LOCKS = ("requirements.lock", "requirements.runtime.lock", "requirements.sandbox.lock")
PINNED = re.compile(r"^([A-Za-z0-9_.-]+)==([^ ;\\]+)", re.MULTILINE)
HASHES = re.compile(r"--hash=sha256:([0-9a-f]{64})")

# The first release without a published flaw that would matter here. This is a floor, not an audit:
# what was found after it was written down is not known to it.
FLOORS = {
    "aiosmtpd": ("1.4.6", "CVE-2024-34083: commands smuggled in before STARTTLS"),
    "authlib": ("1.6.11", "GHSA-fg6f-75jq-6523: OAuth state outside the browser's session"),
    "certifi": ("2024.7.4", "CVE-2024-39689: a root that is no longer trusted"),
    "cryptography": ("44.0.1", "CVE-2024-12797: OpenSSL in its wheels"),
    "h11": ("0.16.0", "CVE-2025-43859: chunks with a wrong end, request smuggling"),
    "idna": ("3.7", "CVE-2024-3651: quadratic time"),
    "jinja2": ("3.1.6", "CVE-2025-27516: out of the sandbox"),
    "lxml": ("5.2.1", "older ones bundle a libxml2 with known flaws"),
    "pip": ("23.3", "CVE-2023-5752: options through a repository's name"),
    "pygments": ("2.15.0", "CVE-2022-40896: quadratic time"),
    "python-multipart": ("0.0.18", "CVE-2024-53981: a log line a byte"),
    "requests": ("2.32.4", "CVE-2024-47081: credentials to another host"),
    "setuptools": ("78.1.1", "CVE-2025-47273: a path out of the folder"),
    "starlette": ("0.49.1", "CVE-2025-62727: quadratic time in Range"),
    "urllib3": ("2.6.0", "CVE-2025-66471: decompression without end"),
    "virtualenv": ("20.26.6", "CVE-2024-53899: commands through a folder's name"),
}


def pinned(lock: str) -> list[tuple[str, str]]:
    text = (ROOT / lock).read_text(encoding="utf-8")
    return [(name.lower().replace("_", "-"), version) for name, version in PINNED.findall(text)]


@pytest.mark.parametrize("lock", LOCKS)
def test_d3_d28_nothing_older_than_its_last_known_flaw_is_pinned(lock: str) -> None:
    packages = pinned(lock)
    assert len(packages) > 20
    for name, version in packages:
        floor, why = FLOORS.get(name, ("0", ""))
        assert Version(version) >= Version(floor), f"{name} {version} in {lock}: {why}"


def test_the_floors_are_of_packages_that_are_used() -> None:
    used = {name for lock in LOCKS for name, _ in pinned(lock)}
    assert {"authlib", "h11", "jinja2", "starlette", "cryptography"} <= used & set(FLOORS)


def test_d28_the_bill_of_materials_is_that_of_the_lock() -> None:
    bill = json.loads((ROOT / "deploy" / "sbom.cdx.json").read_text(encoding="utf-8"))
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    listed = {(one["name"], one["version"]) for one in bill["components"]}
    assert listed == set(pinned("requirements.runtime.lock")), "run `make sbom`"
    lock = (ROOT / "requirements.runtime.lock").read_text(encoding="utf-8")
    hashes = {each["content"] for one in bill["components"] for each in one["hashes"]}
    assert hashes == set(HASHES.findall(lock)), "run `make sbom`"
    assert bill["metadata"]["component"]["name"] == "part3-procore-connector"
