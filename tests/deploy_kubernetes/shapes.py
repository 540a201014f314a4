"""What the resources of operators must look like.

KEDA's, prometheus-operator's and cert-manager's are read by models made from their own resource
definitions. Strimzi, External Secrets and Cilium publish none that a package registry has, so
theirs are held against shapes written from their documentation.
"""

from typing import Any

import jsonschema
from cloudcoil.models.cert_manager import v1 as cert_manager
from cloudcoil.models.keda import v1alpha1 as keda
from cloudcoil.models.prometheus_operator import v1 as prometheus

MODELS: dict[tuple[str, str], Any] = {
    ("cert-manager.io/v1", "Certificate"): cert_manager.Certificate,
    ("cert-manager.io/v1", "Issuer"): cert_manager.Issuer,
    ("keda.sh/v1alpha1", "ScaledObject"): keda.ScaledObject,
    ("keda.sh/v1alpha1", "TriggerAuthentication"): keda.TriggerAuthentication,
    ("monitoring.coreos.com/v1", "PrometheusRule"): prometheus.PrometheusRule,
    ("monitoring.coreos.com/v1", "ServiceMonitor"): prometheus.ServiceMonitor,
}


def closed(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


TEXT = {"type": "string", "minLength": 1}
NUMBER = {"type": "integer", "minimum": 1}
LABELS = {"type": "object", "additionalProperties": {"type": "string"}}
ACL = closed(
    {
        "resource": closed(
            {
                "type": {"enum": ["topic", "group", "cluster", "transactionalId"]},
                "name": TEXT,
                "patternType": {"enum": ["literal", "prefix"]},
            },
            "type",
            "name",
        ),
        "operations": {
            "type": "array",
            "minItems": 1,
            "items": {
                "enum": [
                    *("Read", "Write", "Create", "Delete", "Alter", "Describe", "All"),
                    *("ClusterAction", "DescribeConfigs", "AlterConfigs", "IdempotentWrite"),
                ]
            },
        },
        "type": {"enum": ["allow", "deny"]},
        "host": TEXT,
    },
    "resource",
    "operations",
)
SPECS = {
    ("kafka.strimzi.io/v1", "KafkaTopic"): closed(
        {
            "topicName": TEXT,
            "partitions": NUMBER,
            "replicas": NUMBER,
            "config": {"type": "object"},
        },
        "partitions",
        "replicas",
    ),
    ("kafka.strimzi.io/v1", "KafkaUser"): closed(
        {
            "authentication": closed({"type": {"enum": ["scram-sha-512", "tls"]}}, "type"),
            "authorization": closed(
                {"type": {"const": "simple"}, "acls": {"type": "array", "items": ACL}},
                "type",
                "acls",
            ),
            "quotas": closed({"producerByteRate": NUMBER, "consumerByteRate": NUMBER}),
        },
        "authentication",
        "authorization",
    ),
    ("external-secrets.io/v1", "ExternalSecret"): closed(
        {
            "refreshInterval": TEXT,
            "secretStoreRef": closed(
                {"kind": {"enum": ["SecretStore", "ClusterSecretStore"]}, "name": TEXT}, "name"
            ),
            "target": closed(
                {
                    "name": TEXT,
                    "creationPolicy": {"enum": ["Owner", "Orphan", "Merge", "None"]},
                    "deletionPolicy": {"enum": ["Delete", "Merge", "Retain"]},
                }
            ),
            "data": {
                "type": "array",
                "minItems": 1,
                "items": closed(
                    {
                        "secretKey": TEXT,
                        "remoteRef": closed({"key": TEXT, "property": TEXT}, "key"),
                    },
                    "secretKey",
                    "remoteRef",
                ),
            },
        },
        "secretStoreRef",
        "data",
    ),
    ("cilium.io/v2", "CiliumNetworkPolicy"): closed(
        {
            "endpointSelector": closed({"matchLabels": LABELS}),
            "egress": {
                "type": "array",
                "items": closed(
                    {
                        "toEndpoints": {"type": "array", "items": closed({"matchLabels": LABELS})},
                        "toFQDNs": {
                            "type": "array",
                            "items": closed({"matchName": TEXT, "matchPattern": TEXT}),
                        },
                        "toPorts": {
                            "type": "array",
                            "items": closed(
                                {
                                    "ports": {
                                        "type": "array",
                                        "items": closed(
                                            {
                                                "port": TEXT,
                                                "protocol": {"enum": ["TCP", "UDP", "ANY"]},
                                            },
                                            "port",
                                        ),
                                    },
                                    "rules": closed({"dns": {"type": "array"}}),
                                }
                            ),
                        },
                    }
                ),
            },
        },
        "endpointSelector",
    ),
}


def faults(resource: dict[str, Any]) -> list[str]:
    """Say what is wrong with a custom resource; raises KeyError for a kind that nobody knows."""
    kind = (resource["apiVersion"], resource["kind"])
    if kind in SPECS:
        validator = jsonschema.Draft202012Validator(SPECS[kind])
        return [error.message for error in validator.iter_errors(resource["spec"])]
    read = MODELS[kind].model_validate(resource)  # raises and says what is wrong
    return unknown(resource, read.model_dump(by_alias=True, exclude_unset=True, mode="json"))


def unknown(given: Any, understood: Any, path: str = "") -> list[str]:
    """Name what a model passed over: a field that it does not know."""
    match given, understood:
        case dict(), dict():
            passed = [f"{path}/{name} is not known" for name in given if name not in understood]
            shared = [name for name in given if name in understood]
            deeper = (unknown(given[n], understood[n], f"{path}/{n}") for n in shared)
            return [*passed, *(fault for found in deeper for fault in found)]
        case list(), list():
            pairs = enumerate(zip(given, understood, strict=True))
            return [fault for i, (a, b) in pairs for fault in unknown(a, b, f"{path}/{i}")]
        case _:
            return []
