"""deploy/kubernetes, built by kustomize as `kubectl apply -k` would, and read for the tests."""

import functools
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

import yaml

KUBERNETES = Path(__file__).parents[2] / "deploy" / "kubernetes"
OVERLAYS = tuple(sorted(folder.name for folder in (KUBERNETES / "overlays").iterdir()))
Resource = dict[str, Any]


@functools.cache
def built(overlay: str) -> tuple[Resource, ...]:
    """All resources of an overlay; building says why when it cannot."""
    kubectl = Path(sysconfig.get_path("scripts")) / "kubectl"
    done = subprocess.run(
        [kubectl, "kustomize", KUBERNETES / "overlays" / overlay],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return tuple(yaml.safe_load_all(done.stdout))


def of_kind(overlay: str, *kinds: str) -> list[Resource]:
    return [one for one in built(overlay) if one["kind"] in kinds]


def named(overlay: str, kind: str, name: str) -> Resource:
    return next(one for one in of_kind(overlay, kind) if one["metadata"]["name"] == name)


def pods(overlay: str) -> dict[str, Resource]:
    """The pod template of whatever runs, by the name of what runs it."""
    found = of_kind(overlay, "Deployment", "StatefulSet", "Job")
    return {one["metadata"]["name"]: one["spec"]["template"] for one in found}


def containers(template: Resource) -> list[Resource]:
    spec = template["spec"]
    return [*spec.get("initContainers", ()), *spec["containers"]]


def main_container(template: Resource) -> Resource:
    return next(iter(template["spec"]["containers"]))


def settings_of(overlay: str) -> dict[str, str]:
    """What all programs share: the config map, whose name carries a hash of its content."""
    found = [
        one
        for one in of_kind(overlay, "ConfigMap")
        if one["metadata"]["name"].startswith("connector-settings")
    ]
    assert len(found) == 1
    shared: dict[str, str] = found[0]["data"]
    return shared


def environment_of(overlay: str, container: Resource) -> dict[str, str]:
    """What a container's program reads: shared settings, its own; `fieldRef` as its path."""
    shared = settings_of(overlay) if container.get("envFrom") else {}
    own = {
        one["name"]: one.get("value", one.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath"))
        for one in container.get("env", ())
    }
    return shared | own
