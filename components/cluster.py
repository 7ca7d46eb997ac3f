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
    nodes: int = 1
    """Nodes of a training, which is a TrainJob of Kubeflow Trainer."""
    gpus: int = 1
    """GPUs of each of them; 0: it trains on processors."""
    queue: str = ""
    """Kueue's queue that trainings wait in until all of their nodes can start, and other steps, too; empty: none."""
    hours: float = 14 * 24.0
    """The cluster stops a training after that long; time in a queue does not count. Nothing else limits it."""
    images: str = ""
    """Where the cluster pulls the images of the steps, for example "registry.example.com/team"; empty: from where it
    pulls names without an address."""
    service: str = ""
    """Address of the service that a new champion is rolled out to; empty: none."""

    def __post_init__(self) -> None:
        for name, least in (("shards", 1), ("nodes", 1), ("gpus", 0)):
            if getattr(self, name) < least:
                raise OFAError(f"{name} is {getattr(self, name)}; it must be at least {least}")
        if self.hours <= 0:
            raise OFAError(f"hours is {self.hours:g}; it must be more than 0")
