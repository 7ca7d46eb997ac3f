"""The section `cluster` of params.yaml: what a cluster gives to the pipelines. One machine takes only `shards`."""

from dataclasses import dataclass, field
from typing import Any

from ofa.errors import OFAError


@dataclass(frozen=True, kw_only=True)
class ClusterSection:
    """What changes with the cluster, not with the model."""

    shards: int = 1
    """Pods that build tables side by side."""
    node_selector: dict[str, str] = field(default_factory=dict)
    """Labels that a node for training and evaluation must have, for example {nvidia.com/gpu.product: NVIDIA-L4}."""
    tolerations: list[dict[str, Any]] = field(default_factory=list)
    """Taints of nodes that training and evaluation accept, as Kubernetes writes them."""
    service: str = ""
    """Address of the service that a new champion is rolled out to; empty: none."""

    def __post_init__(self) -> None:
        if self.shards < 1:
            raise OFAError(f"shards is {self.shards}; it must be at least 1")
