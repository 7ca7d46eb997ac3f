"""The fields that our objects use of the kinds of KServe, Kueue and Prometheus, as their controllers define them.

No models of them can be installed beside the rest.
"""

NAME = {"type": "string", "pattern": "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"}
LABELS = {"type": "object", "additionalProperties": {"type": "string"}}
SELECTOR = {"type": "object", "properties": {"matchLabels": LABELS}, "additionalProperties": False}
QUANTITY = {"anyOf": [{"type": "integer"}, {"type": "string", "pattern": r"^\d+(\.\d+)?([kMGTPE]i?|m)?$"}]}
DURATION = {"type": "string", "pattern": r"^(\d+[smhd])+$"}


def _object(required=(), **fields):
    return {"type": "object", "required": list(required), "properties": fields, "additionalProperties": False}


def _list(item, **limits):
    return {"type": "array", "items": item} | limits


SPECS = {
    ("kueue.x-k8s.io/v1beta2", "ResourceFlavor"): _object(nodeLabels=LABELS),
    ("kueue.x-k8s.io/v1beta2", "LocalQueue"): _object(clusterQueue=NAME),
    ("kueue.x-k8s.io/v1beta2", "ClusterQueue"): _object(
        namespaceSelector=SELECTOR,
        resourceGroups=_list(
            _object(
                ("coveredResources", "flavors"),
                coveredResources=_list({"type": "string"}, minItems=1),
                flavors=_list(
                    _object(
                        ("name", "resources"),
                        name=NAME,
                        resources=_list(
                            _object(("name", "nominalQuota"), name={"type": "string"}, nominalQuota=QUANTITY),
                            minItems=1,
                        ),
                    ),
                    minItems=1,
                ),
            ),
            maxItems=16,
        ),
    ),
    ("kueue.x-k8s.io/v1beta2", "WorkloadPriorityClass"): _object(  # it has no `spec`
        ("value",),
        value={"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1},
        description={"type": "string", "maxLength": 2048},
    ),
    ("monitoring.coreos.com/v1", "ServiceMonitor"): _object(
        ("endpoints", "selector"),
        selector=SELECTOR,
        endpoints=_list(_object(port={"type": "string"}, path={"type": "string"}, interval=DURATION)),
    ),
    ("serving.kserve.io/v1beta1", "InferenceService"): _object(
        ("predictor",),
        # Besides these, the fields of a pod; the test gives them to Kubernetes' own schema.
        predictor={
            "type": "object",
            "required": ["containers"],
            "properties": {
                "minReplicas": {"type": "integer"},
                "maxReplicas": {"type": "integer"},
                "scaleMetric": {"enum": ["cpu", "memory", "concurrency", "rps"]},
                "scaleTarget": {"type": "integer"},
                "labels": LABELS,
            },
        },
    ),
}
"""The schema of `spec`, by version and kind."""

NOT_OF_A_POD = ("minReplicas", "maxReplicas", "scaleMetric", "scaleTarget", "labels")
"""Fields of an InferenceService's predictor that no pod has."""
