"""What a cluster gives to the steps: processors, memory, GPUs, time, further attempts."""

from dataclasses import dataclass

from kfp import dsl, kubernetes
from kfp.dsl.pipeline_channel import PipelineParameterChannel
from kfp.dsl.pipeline_task import PipelineTask

from components.train import step, trainjob

HOUR = 3600
"""In seconds."""


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What one kind of step asks for."""

    priority: str
    """Who leaves the queue first: a class of `k8s/components/kueue/priorities.yaml`."""
    cpu: str
    memory: str
    """Request and limit."""
    hours: int
    """After that long the step is stopped; 0: it ends by itself."""
    retries: int = 2
    """Further attempts, after 30 s, 1 min, 2 min ... at most 10 min: a pod may be evicted, a network may fail."""
    gpus: int = 0
    """On GPU nodes."""
    shared_memory: str = ""
    """Size of /dev/shm, through which loading processes hand batches over; empty: the container's own 64 MiB."""


LIGHT = Needs(priority="ofa-light", cpu="500m", memory="2Gi", hours=1)
"""Steps that decide, collect and tell."""
DATA = Needs(priority="ofa-data", cpu="4", memory="8Gi", hours=12, shared_memory="1Gi")
"""Steps that read or write all data."""
EVALUATE = Needs(priority="ofa-evaluation", cpu="4", memory="16Gi", hours=12, gpus=1, shared_memory="4Gi")
TRAIN = Needs(priority=trainjob.Job.priority, cpu="8", memory="32Gi", hours=0, retries=5)
"""A node of a training, besides its GPUs. It goes on where the last attempt stopped; `cluster.hours` says how long it
may take."""

CLAIMS = {step.DATA: "training-data", step.CHECKPOINTS: "training-checkpoints"}
"""Claims of the volumes that the nodes of a training share with the step that waits for them, by the folder where each
is mounted: `k8s/runs/storage.yaml`."""


@dataclass(frozen=True)
class Machines:
    """The GPU nodes, as parameters of a pipeline."""

    node_selector: PipelineParameterChannel
    tolerations: PipelineParameterChannel


def place(task: PipelineTask, needs: Needs = LIGHT, machines: Machines | None = None) -> PipelineTask:
    """Ask for what a step needs; with `machines`, for a node with GPUs."""
    task.set_cpu_request(needs.cpu).set_memory_request(needs.memory).set_memory_limit(needs.memory)
    task.set_retry(needs.retries, backoff_duration="30s", backoff_factor=2.0, backoff_max_duration="600s")
    if needs.hours:
        kubernetes.set_timeout(task, needs.hours * HOUR)
    kubernetes.set_security_context(task, run_as_non_root=True)
    kubernetes.add_pod_label(task, trainjob.PRIORITY, needs.priority)
    if needs.shared_memory:
        kubernetes.empty_dir_mount(
            task, volume_name="shm", mount_path="/dev/shm", medium="Memory", size_limit=needs.shared_memory
        )
    if machines is not None:
        if needs.gpus:
            task.set_accelerator_type("nvidia.com/gpu").set_accelerator_limit(needs.gpus)
        kubernetes.add_node_selector_json(task, machines.node_selector)
        kubernetes.add_toleration_json(task, machines.tolerations)
    return task


def place_training(task: PipelineTask, machines: Machines) -> PipelineTask:
    """Ask for what each node of a training needs: the step hands it on to a TrainJob (`components.train.step`)."""
    return share(place(task, TRAIN, machines))


def share(task: PipelineTask) -> PipelineTask:
    """Give a step the volumes that the nodes of trainings share, and the id of the pipeline run.

    The id comes from the pod's label: as an argument it would make the result of a training another one each time, and
    never be found in the cache.
    """
    for folder, claim in CLAIMS.items():
        kubernetes.mount_pvc(task, pvc_name=claim, mount_path=f"{step.SHARED}/{folder}")
    return kubernetes.use_field_path_as_env(task, env_name=step.RUN, field_path="metadata.labels['pipeline/runid']")


def fresh(task: PipelineTask) -> PipelineTask:
    """Never take the result of such a step from a cache: it reads or changes what is outside the pipeline."""
    return task.set_caching_options(False)


LIFE = dsl.PipelineConfig(ttl_seconds_after_finished=7 * 24 * HOUR)
"""How long the pods of a run are kept after its end; artifacts and scores stay."""
