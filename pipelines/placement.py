"""What a cluster gives to the steps: processors, memory, GPUs, time, further attempts."""

from dataclasses import dataclass

from kfp import dsl, kubernetes
from kfp.dsl.pipeline_channel import PipelineParameterChannel
from kfp.dsl.pipeline_task import PipelineTask

HOUR = 3600
"""In seconds."""


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What one kind of step asks for."""

    cpu: str
    memory: str
    """Request and limit."""
    hours: int
    """After that long the step is stopped."""
    retries: int = 2
    """Further attempts, after 30 s, 1 min, 2 min ... at most 10 min: a pod may be evicted, a network may fail."""
    shared_memory: str = ""
    """Size of /dev/shm, through which loading processes hand batches over; empty: the container's own 64 MiB."""


LIGHT = Needs(cpu="500m", memory="2Gi", hours=1)
"""Steps that decide, collect and tell."""
DATA = Needs(cpu="4", memory="8Gi", hours=12, shared_memory="1Gi")
"""Steps that read or write all data."""
EVALUATE = Needs(cpu="4", memory="16Gi", hours=12, shared_memory="4Gi")
TRAIN = Needs(cpu="8", memory="32Gi", hours=14 * 24, retries=5, shared_memory="8Gi")
"""A training: it goes on where the last attempt stopped."""


@dataclass(frozen=True)
class Machines:
    """The GPU nodes, as parameters of a pipeline."""

    node_selector: PipelineParameterChannel
    tolerations: PipelineParameterChannel


def place(task: PipelineTask, needs: Needs = LIGHT, machines: Machines | None = None) -> PipelineTask:
    """Ask for what a step needs; with `machines`, for a GPU as well: a step is one process."""
    task.set_cpu_request(needs.cpu).set_memory_request(needs.memory).set_memory_limit(needs.memory)
    task.set_retry(needs.retries, backoff_duration="30s", backoff_factor=2.0, backoff_max_duration="600s")
    kubernetes.set_timeout(task, needs.hours * HOUR)
    kubernetes.set_security_context(task, run_as_non_root=True)
    if needs.shared_memory:
        kubernetes.empty_dir_mount(
            task, volume_name="shm", mount_path="/dev/shm", medium="Memory", size_limit=needs.shared_memory
        )
    if machines is not None:
        task.set_accelerator_type("nvidia.com/gpu").set_accelerator_limit(1)
        kubernetes.add_node_selector_json(task, machines.node_selector)
        kubernetes.add_toleration_json(task, machines.tolerations)
    return task


def fresh(task: PipelineTask) -> PipelineTask:
    """Never take the result of such a step from a cache: it reads or changes what is outside the pipeline."""
    return task.set_caching_options(False)


LIFE = dsl.PipelineConfig(ttl_seconds_after_finished=7 * 24 * HOUR, active_deadline_seconds=30 * 24 * HOUR)
"""How long a run may take, and how long its pods are kept afterwards; artifacts and scores stay."""
