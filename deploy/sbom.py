"""Writes `deploy/sbom.cdx.json`: what the image contains, as a CycloneDX bill of materials.

From the image's lock file, so it names exactly the versions and hashes that are installed. The same
lock gives the same file.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements.runtime.lock"
BILL = ROOT / "deploy" / "sbom.cdx.json"


def main() -> None:
    """Write the file anew."""
    made = subprocess.run(
        [
            *(sys.executable, "-m", "cyclonedx_py", "requirements", str(LOCK)),
            *("--pyproject", str(ROOT / "pyproject.toml"), "--mc-type", "application"),
            *("--spec-version", "1.6", "--output-format", "JSON", "--output-reproducible"),
        ],
        check=True,
        capture_output=True,
        text=True,
    )
    bill = _plain(json.loads(made.stdout))
    BILL.write_text(json.dumps(bill, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"{BILL.relative_to(ROOT)}: {len(bill['components'])} components")


def _plain(bill: dict[str, Any]) -> dict[str, Any]:
    """Leave names, versions and hashes: where a package is fetched from is the installer's setting.

    References by line number become the packages' own names, so that a diff shows what changed.
    """
    names = {one["bom-ref"]: one["purl"] for one in bill["components"]}
    for component in bill["components"]:
        component["bom-ref"] = names[component["bom-ref"]]
        component.pop("description", None)
        references = component.pop("externalReferences", [])
        component["hashes"] = [each for one in references for each in one.get("hashes", ())]
    for tool in bill["metadata"].get("tools", {}).get("components", ()):
        tool.pop("externalReferences", None)
    for entry in bill.get("dependencies", ()):
        entry["ref"] = names.get(entry["ref"], entry["ref"])
        entry["dependsOn"] = [names.get(one, one) for one in entry.get("dependsOn", ())]
    return bill


if __name__ == "__main__":
    main()
