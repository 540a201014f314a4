"""deploy/kubernetes: valid for the stated releases, and as safe as it says."""

import importlib
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from deploy.compose.make_secrets import write_secrets
from schemas.notices import TOPICS, WORKER_GROUP
from services.kafka.topics import DEAD_LETTER_RETENTION_MS, RETENTION_MS
from services.settings import Reader
from tests.deploy_kubernetes.manifests import (
    KUBERNETES,
    OVERLAYS,
    Resource,
    built,
    containers,
    environment_of,
    main_container,
    named,
    of_kind,
    pods,
)
from tests.deploy_kubernetes.shapes import faults

RELEASES = ("1.30", "1.31", "1.32")
PARTITIONS = 12
PROGRAMS = {
    "gateway": ("webhook_gateway.settings", "GatewaySettings"),
    "token-service": ("token_service.settings", "Settings"),
    "sync-worker": ("sync_worker.settings", "WorkerSettings"),
}
DRAIN_S = 25  # in which every program ends
ALL = [(overlay, one) for overlay in OVERLAYS for one in built(overlay)]
PRODUCTION = [overlay for overlay in OVERLAYS if overlay.startswith("production")]


def name_of(resource: Resource) -> str:
    return f"{resource['kind']}/{resource['metadata']['name']}"


def is_custom(resource: Resource) -> bool:
    group, _, _ = resource["apiVersion"].rpartition("/")
    return "." in group and not group.endswith(".k8s.io")


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_everything_is_valid_for_a_release_of_kubernetes(overlay: str, release: str) -> None:
    for resource in built(overlay):
        if not is_custom(resource):
            kubernetes_validate.validate(resource, release, strict=True)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_what_operators_read_is_valid(overlay: str) -> None:
    assert [fault for one in built(overlay) if is_custom(one) for fault in faults(one)] == []


def test_a_misspelt_field_of_an_operators_resource_is_found() -> None:
    scaled = named("production", "ScaledObject", "sync-worker")
    spoiled = scaled | {"spec": scaled["spec"] | {"maxReplicaCounts": 12}}
    assert faults(spoiled) == ["/spec/maxReplicaCounts is not known"]


@pytest.mark.parametrize(
    ("overlay", "resource"), ALL, ids=lambda x: x if isinstance(x, str) else ""
)
def test_everything_stands_in_a_namespace_of_its_own(overlay: str, resource: Resource) -> None:
    if resource["kind"] == "Namespace":
        return
    expected = "kafka" if resource["kind"].startswith("Kafka") else "part3-procore"
    assert resource["metadata"].get("namespace") == expected, name_of(resource)


def a_certificate() -> bytes:
    """A self-signed one, in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kafka")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM)


@pytest.mark.parametrize("overlay", OVERLAYS)
@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_starts_with_the_settings_it_is_given(
    overlay: str, program: str, tmp_path: Path
) -> None:
    """Its own settings class reads them, with secrets as files, and finds no fault."""
    write_secrets(tmp_path)
    (tmp_path / "procore_client_id").write_text("part3-connector")
    (tmp_path / "password").write_text("a password of Kafka")
    (tmp_path / "ca.crt").write_bytes(a_certificate())
    environment = environment_of(overlay, main_container(pods(overlay)[program]))
    given = {}
    for name, value in environment.items():
        file = Path(value).name
        if name == "DATABASE_URL_FILE":
            role = "worker" if program == "sync-worker" else "token"
            file = f"{role}_database_url"
        is_file = name.endswith("_FILE")
        given[name] = str(tmp_path / file) if is_file else value
    given["REFRESH_SPOOL_DIR"] = str(tmp_path)
    module, settings = PROGRAMS[program]
    reader = Reader(given)
    getattr(importlib.import_module(module), settings).read(reader)
    assert reader.faults == []


def files_of(overlay: str, template: Resource, container: Resource) -> dict[str, Path]:
    """The files that a container's variables name; Kafka's only where it speaks to Kafka."""
    speaks = "speaks-to-kafka" in template["metadata"]["labels"]
    return {
        name: Path(value)
        for name, value in environment_of(overlay, container).items()
        if name.endswith("_FILE") and (speaks or not name.startswith("KAFKA_"))
    }


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_file_of_a_secret_is_mounted_and_said_where_it_comes_from(overlay: str) -> None:
    for name, template in pods(overlay).items():
        volumes = {one["name"]: one for one in template["spec"]["volumes"]}
        for container in containers(template):
            mounted = {m["mountPath"]: volumes[m["name"]] for m in container["volumeMounts"]}
            for variable, path in files_of(overlay, template, container).items():
                assert "secret" in mounted[str(path.parent)], f"{name}: {variable} is not mounted"


@pytest.mark.parametrize("overlay", PRODUCTION)
def test_every_secret_that_is_mounted_is_fetched_with_the_keys_that_are_read(overlay: str) -> None:
    fetched = {
        one["spec"]["target"]["name"]: {data["secretKey"] for data in one["spec"]["data"]}
        for one in of_kind(overlay, "ExternalSecret")
    }
    fetched |= {
        one["spec"]["secretName"]: {"tls.crt", "tls.key", "ca.crt", "tls-combined.pem"}
        for one in of_kind(overlay, "Certificate")
    }
    for name, template in pods(overlay).items():
        volumes = {one["name"]: one for one in template["spec"]["volumes"]}
        for container in containers(template):
            mounted = {m["mountPath"]: volumes[m["name"]] for m in container["volumeMounts"]}
            for variable, path in files_of(overlay, template, container).items():
                secret = mounted[str(path.parent)]["secret"]["secretName"]
                assert path.name in fetched[secret], f"{name}: {variable} of {secret}"


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_container_may_do_little(overlay: str) -> None:
    for name, template in pods(overlay).items():
        spec = template["spec"]
        assert spec["automountServiceAccountToken"] is False, name
        assert spec["securityContext"]["runAsNonRoot"] is True, name
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        for container in containers(template):
            context = container["securityContext"]
            assert context["readOnlyRootFilesystem"] is True, name
            assert context["allowPrivilegeEscalation"] is False, name
            assert context["capabilities"] == {"drop": ["ALL"]}, name
            assert container["resources"]["limits"]["memory"], name
            assert container["resources"]["requests"]["cpu"], name
            assert ":" in container["image"], f"{name}: {container['image']} has no tag"


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_no_secret_stands_in_a_manifest(overlay: str) -> None:
    assert of_kind(overlay, "Secret") == []
    for template in pods(overlay).values():
        for container in containers(template):
            given = [one["name"] for one in container.get("env", ()) if "value" in one]
            for word in ("DATABASE_URL", "PASSWORD", "SECRET", "_KEYS", "API_TOKEN"):
                loud = [name for name in given if word in name and not name.endswith("_FILE")]
                assert loud == []


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_program_starts_after_what_it_stands_on(overlay: str) -> None:
    waits = {
        name: [c["args"] for c in template["spec"].get("initContainers", ()) if "args" in c]
        for name, template in pods(overlay).items()
    }
    assert ["connector", "wait", "--schemas", "--at-most=600"] in waits["token-service"]
    assert ["connector", "wait", "--schemas", "--topics", "--at-most=600"] in waits["sync-worker"]
    for job in of_kind(overlay, "Job"):
        assert int(job["metadata"]["annotations"]["argocd.argoproj.io/sync-wave"]) < 0


@pytest.mark.parametrize("overlay", OVERLAYS)
@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_is_asked_how_it_is_and_has_time_to_end(overlay: str, program: str) -> None:
    template = pods(overlay)[program]
    container = main_container(template)
    for probe, path in (
        ("livenessProbe", "/livez"),
        ("readinessProbe", "/readyz"),
        ("startupProbe", "/livez"),
    ):
        assert container[probe]["httpGet"] == {"path": path, "port": "metrics"}
    before = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    assert template["spec"]["terminationGracePeriodSeconds"] >= DRAIN_S + before


@pytest.mark.parametrize("overlay", OVERLAYS)
@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_is_spread_and_not_evicted_whole(overlay: str, program: str) -> None:
    budget = named(overlay, "PodDisruptionBudget", program)
    template = pods(overlay)[program]
    assert (
        budget["spec"]["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
    )
    keys = {one["topologyKey"] for one in template["spec"]["topologySpreadConstraints"]}
    assert keys == {"topology.kubernetes.io/zone", "kubernetes.io/hostname"}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_workers_have_stable_names(overlay: str) -> None:
    worker = main_container(pods(overlay)["sync-worker"])
    assert named(overlay, "StatefulSet", "sync-worker")
    ids = [one for one in worker["env"] if one["name"] == "WORKER_ID"]
    assert ids[0]["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.name"


def test_there_are_never_more_workers_than_partitions() -> None:
    scaled = named("production", "ScaledObject", "sync-worker")["spec"]
    plain = named("production-hpa", "HorizontalPodAutoscaler", "sync-worker")["spec"]
    dev = named("dev", "StatefulSet", "sync-worker")["spec"]["replicas"]
    topics = of_kind("production", "KafkaTopic")
    assert {one["spec"]["partitions"] for one in topics} == {PARTITIONS}
    job = main_container(pods("dev")["topics"])
    assert f"--partitions={PARTITIONS}" in job["args"]
    assert max(scaled["maxReplicaCount"], plain["maxReplicas"], dev) <= PARTITIONS


def test_one_autoscaler_has_a_program() -> None:
    for overlay in OVERLAYS:
        targets = [
            one["spec"]["scaleTargetRef"]["name"]
            for one in of_kind(overlay, "ScaledObject", "HorizontalPodAutoscaler")
        ]
        assert len(targets) == len(set(targets)), overlay
        for one in of_kind(overlay, "Deployment", "StatefulSet"):
            both = one["metadata"]["name"] in targets and "replicas" in one["spec"]
            assert not both, f"{overlay}: {name_of(one)} would be set back at each apply"


def test_lag_is_that_of_the_workers_group() -> None:
    triggers = named("production", "ScaledObject", "sync-worker")["spec"]["triggers"]
    assert {one["metadata"]["consumerGroup"] for one in triggers} == {WORKER_GROUP}
    assert {one["metadata"]["topic"] for one in triggers} == {"procore.notices", "part3.notices"}


def test_topics_are_those_that_the_command_makes() -> None:
    found = {one["metadata"]["name"]: one["spec"] for one in of_kind("production", "KafkaTopic")}
    assert set(found) == set(TOPICS)
    for name, spec in found.items():
        kept = DEAD_LETTER_RETENTION_MS if name == "mirror.dead-letters" else RETENTION_MS
        assert spec["config"]["retention.ms"] == kept
        assert spec["config"]["min.insync.replicas"] == spec["replicas"] - 1


def allowed(user: Resource, operation: str) -> set[str]:
    acls = user["spec"]["authorization"]["acls"]
    return {
        acl["resource"]["name"]
        for acl in acls
        if operation in acl["operations"] or "All" in acl["operations"]
    }


def test_only_the_gateway_may_write_notices() -> None:
    notices = {"procore.notices", "part3.notices"}
    for user in of_kind("production", "KafkaUser"):
        writes = allowed(user, "Write") & notices
        assert writes == (notices if user["metadata"]["name"] == "connector-gateway" else set())


def test_d18_only_operators_may_read_dead_letters() -> None:
    readers = {
        user["metadata"]["name"]
        for user in of_kind("production", "KafkaUser")
        if "mirror.dead-letters" in allowed(user, "Read")
    }
    assert readers == {"connector-operator"}


def test_each_program_logs_in_to_kafka_as_itself() -> None:
    users = {one["metadata"]["name"] for one in of_kind("production", "KafkaUser")}
    for program, user in (("gateway", "connector-gateway"), ("sync-worker", "connector-worker")):
        environment = environment_of("production", main_container(pods("production")[program]))
        assert environment["KAFKA_SASL_USERNAME"] == user
        assert user in users


def policies(overlay: str, labels: dict[str, str], direction: str) -> list[dict[str, Any]]:
    """The rules of one direction that apply to pods with these labels."""
    found = []
    for one in of_kind(overlay, "NetworkPolicy"):
        selector = one["spec"]["podSelector"]
        wanted = selector.get("matchLabels", {}).items() <= labels.items()
        values = all(
            labels.get(part["key"]) in part["values"]
            for part in selector.get("matchExpressions", ())
        )
        if wanted and values and direction.title() in one["spec"]["policyTypes"]:
            found += one["spec"].get(direction, [])
    return found


def labels_of(overlay: str, name: str) -> dict[str, str]:
    labels: dict[str, str] = pods(overlay)[name]["metadata"]["labels"]
    return labels


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_internal_port_is_for_workers_alone(overlay: str) -> None:
    rules = policies(overlay, labels_of(overlay, "token-service"), "ingress")
    internal = [r for r in rules if any(p["port"] == "internal" for p in r["ports"])]
    assert [rule["from"] for rule in internal] == [
        [{"podSelector": {"matchLabels": {"asks-for-tokens": "true"}}}]
    ]
    askers = [
        name
        for name, template in pods(overlay).items()
        if template["metadata"]["labels"].get("asks-for-tokens")
    ]
    assert askers == ["sync-worker"]


@pytest.mark.parametrize("overlay", OVERLAYS)
@pytest.mark.parametrize(
    ("pod", "reaches"),
    [
        ("gateway", {53, 9093}),
        ("token-service", {53, 5432, 443}),
        ("sync-worker", {53, 9093, 5432, 443, "internal"}),
        ("migrate", {53, 5432}),
        ("topics", {53, 9093}),
    ],
)
def test_a_pod_reaches_what_it_needs_and_nothing_else(
    overlay: str, pod: str, reaches: set[Any]
) -> None:
    rules = policies(overlay, labels_of(overlay, pod), "egress")
    assert {port["port"] for rule in rules for port in rule["ports"]} == reaches


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_nothing_inside_is_reached_over_443(overlay: str) -> None:
    blocks = [
        to["ipBlock"]
        for rule in policies(overlay, labels_of(overlay, "sync-worker"), "egress")
        for to in rule["to"]
        if "ipBlock" in to
    ]
    v4 = next(one for one in blocks if one["cidr"] == "0.0.0.0/0")
    assert {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16"} <= set(v4["except"])


def test_only_the_token_service_reaches_procores_login() -> None:
    names = {
        one["spec"]["endpointSelector"]["matchLabels"]["app.kubernetes.io/name"]: {
            fqdn.get("matchName")
            for rule in one["spec"]["egress"]
            for fqdn in rule.get("toFQDNs", ())
        }
        for one in of_kind("production-hpa", "CiliumNetworkPolicy")
    }
    assert "login.procore.com" in names["token-service"]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_an_ingress_bounds_bodies_and_time_and_shows_no_metrics(overlay: str) -> None:
    for one in of_kind(overlay, "Ingress"):
        notes = one["metadata"]["annotations"]
        assert "req.body_size" in notes["haproxy.org/backend-config-snippet"]
        assert notes["haproxy.org/timeout-http-request"]
        assert one["spec"]["tls"]
    gateway = named(overlay, "Ingress", "gateway")
    paths = [path["path"] for rule in gateway["spec"]["rules"] for path in rule["http"]["paths"]]
    assert paths == ["/procore/", "/part3/events"]


def test_any_overlay_takes_the_component_that_exports_traces(tmp_path: Path) -> None:
    base = os.path.relpath(KUBERNETES, tmp_path)
    (tmp_path / "kustomization.yaml").write_text(
        f"resources: [{base}/overlays/dev]\ncomponents: [{base}/components/tracing]\n"
    )
    overlay = str(tmp_path)
    for program in PROGRAMS:
        environment = environment_of(overlay, main_container(pods(overlay)[program]))
        assert environment["OTEL_EXPORTER_OTLP_ENDPOINT"].endswith(":4318")
    policy = named(overlay, "NetworkPolicy", "traces")
    kubernetes_validate.validate(policy, RELEASES[0], strict=True)
