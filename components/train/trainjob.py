"""A training on many nodes: a TrainJob of Kubeflow Trainer v2, made, followed and cleared away.

The job is known by its name: who asks for it again, as a step that is retried does, gets the one that is there. One
that failed is made anew and goes on from the checkpoints that its nodes wrote to the shared volume.
"""

import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from ofa.errors import OFAError

logger = logging.getLogger(__name__)

QUEUE = "kueue.x-k8s.io/queue-name"
RUN = "ofa/pipeline-run"
"""Label with the id of the pipeline run that a job belongs to."""

_NODE = "node"
_PULL = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName")
_KEPT_LINES = 200


class JobFailed(OFAError):
    """The training ended with an error; the message names the reason."""


class _Stopped(BaseException):
    """This process was told to stop. Kubeflow's client would take an `Exception` for a failed request."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is asked of the cluster."""

    name: str
    command: Sequence[str]
    """What every node runs; torchrun finds the others by itself, from the environment that the runtime sets."""
    image: str = ""
    """Empty: the runtime's."""
    nodes: int = 1
    resources: Mapping[str, Any] = field(default_factory=dict)
    """Of a node: {cpu, memory, gpu}."""
    env: Mapping[str, str] = field(default_factory=dict)
    runtime: str = "torch-distributed"
    """ClusterTrainingRuntime or TrainingRuntime."""
    queue: str = ""
    """Kueue's queue; empty: none."""
    run: str = ""
    """Id of the pipeline run."""
    hours: float = 24.0
    """After that long the cluster stops the job."""
    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: Sequence[Mapping[str, Any]] = ()
    affinity: Mapping[str, Any] = field(default_factory=dict)
    volumes: Sequence[Mapping[str, Any]] = ()
    volume_mounts: Sequence[Mapping[str, Any]] = ()


def train(job: Job, client: Any = None, say: Callable[[str], None] = print, pause: float = 5.0, patience: float = 600):
    """Run a job to its end, showing the log of its first node and the warnings of the cluster.

    Args:
        job: the job.
        client: `kubeflow.trainer.TrainerClient`; by default one of the cluster that this runs in.
        say: gets every line.
        pause: seconds between two looks.
        patience: seconds that the cluster may not answer, or that an image may not be had, before it is given up.

    Raises:
        JobFailed: it failed; the message says why: no memory, no quota, lost connections ...
        OFAError: the cluster refuses the job, cannot get its image, or does not answer.
    """
    if client is None:
        from kubeflow.trainer import TrainerClient

        client = TrainerClient()
    _make(job, client, say)
    with _deleted_unless_done(job, client, say):
        _follow(job, client, say, pause, patience)


def options(job: Job) -> list[Any]:
    """What the job differs in from the runtime, for `TrainerClient.train`."""
    from kubeflow.trainer import options as kubeflow

    container = kubeflow.ContainerPatch(name=_NODE, volume_mounts=list(map(dict, job.volume_mounts)) or None)
    spec = kubeflow.PodSpecPatch(
        volumes=list(map(dict, job.volumes)) or None,
        containers=[container] if job.volume_mounts else None,
        node_selector=dict(job.node_selector) or None,
        affinity=dict(job.affinity) or None,
        tolerations=list(map(dict, job.tolerations)) or None,
    )
    labels = {RUN: job.run} if job.run else {}
    labels |= {QUEUE: job.queue} if job.queue else {}
    found = [
        kubeflow.Name(job.name),
        kubeflow.Labels(labels),
        kubeflow.TrainerCommand(list(job.command)),
        kubeflow.ActiveDeadlineSeconds(int(job.hours * 3600)),
    ]
    if any((spec.volumes, spec.containers, spec.node_selector, spec.affinity, spec.tolerations)):
        pods = kubeflow.PodTemplatePatch(spec=spec)
        node = kubeflow.ReplicatedJobPatch(
            name=_NODE, template=kubeflow.JobTemplatePatch(spec=kubeflow.JobSpecPatch(template=pods))
        )
        jobs = kubeflow.JobSetTemplatePatch(spec=kubeflow.JobSetSpecPatch(replicated_jobs=[node]))
        found.append(kubeflow.RuntimePatch(kubeflow.TrainingRuntimeSpecPatch(template=jobs)))
    return found


def _make(job: Job, client: Any, say: Callable[[str], None]) -> None:
    from kubeflow.trainer import CustomTrainerContainer

    trainer = CustomTrainerContainer(
        image=job.image, num_nodes=job.nodes, resources_per_node=dict(job.resources) or None, env=dict(job.env) or None
    )
    for attempt in (1, 2):
        try:
            client.train(runtime=job.runtime, trainer=trainer, options=options(job))
            say(f"TrainJob {job.name}: made, {job.nodes} nodes")
            return
        except (RuntimeError, TimeoutError, ValueError) as error:
            if getattr(error.__cause__, "status", None) != 409 or attempt == 2:
                raise OFAError(f"TrainJob {job.name}: the cluster does not take it: {_why(error)}") from error
        if client.get_job(job.name).status != "Failed":
            say(f"TrainJob {job.name}: it is there already, going on with it")
            return
        say(f"TrainJob {job.name}: the one that failed is replaced")
        _delete(job, client)


def _delete(job: Job, client: Any, tries: int = 60) -> None:
    """Delete the job and wait until it is gone."""
    client.delete_job(job.name)
    for _ in range(tries):
        try:
            client.get_job(job.name)
        except (RuntimeError, ValueError):
            return
        time.sleep(1)


def _follow(job: Job, client: Any, say: Callable[[str], None], pause: float, patience: float) -> None:
    log = _Log(job.name, client, say)
    warnings: dict[str, str] = {}
    answered = time.monotonic()
    stuck_since = None
    while True:
        try:
            found = client.get_job(job.name)
            for reason, text in _warnings(job.name, client):
                if warnings.get(reason) != text:
                    say(f"{reason}: {text}")
                    warnings[reason] = text
            answered = time.monotonic()
        except (RuntimeError, TimeoutError) as error:
            if time.monotonic() - answered > patience:
                raise OFAError(f"TrainJob {job.name}: the cluster does not answer: {_why(error)}") from error
            time.sleep(pause)
            continue
        if found.status == "Complete":
            log.finish()
            return
        if found.status == "Failed":
            log.finish()
            raise JobFailed(f"TrainJob {job.name} failed: {_reason(job.name, client, warnings, log.lines)}")
        # The job itself says "Created" as long as it is not done; its pods know more.
        if any(step.status in ("Running", "Succeeded") for step in found.steps):
            log.start()
            stuck_since = None
        elif any(reason in _PULL for reason in _waiting(job.name, client)):
            stuck_since = stuck_since or time.monotonic()
            if time.monotonic() - stuck_since >= patience:
                raise OFAError(
                    f"TrainJob {job.name} cannot start: the image {job.image or 'of the runtime'} cannot be pulled"
                )
        time.sleep(pause)


class _Log:
    """Shows the log of the first node as it is written, over as many pods as it takes."""

    def __init__(self, name: str, client: Any, say: Callable[[str], None]):
        self.lines: list[str] = []
        """All lines so far: after a broken connection the cluster sends them again from the first."""
        self._name, self._client, self._say = name, client, say
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to follow, or begin again where a pod was replaced or the connection broke."""
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._read, daemon=True)
            self._thread.start()

    def finish(self, seconds: float = 10) -> None:
        """Wait for what is still to come; a job that was quick is read now."""
        self.start()
        self._thread.join(seconds)

    def _read(self) -> None:
        seen = len(self.lines)
        with suppress(RuntimeError, TimeoutError, ValueError):
            for number, line in enumerate(self._client.get_job_logs(self._name, follow=True)):
                if number < seen and self.lines[number] == line:
                    continue  # the same pod, read again after the connection broke
                self._say(line)
                self.lines.append(line)


def _pods(name: str, client: Any) -> Sequence[Any]:
    """The pods of a job; none where its client is not one of a cluster."""
    backend = client.backend
    if not hasattr(backend, "core_api"):
        return ()
    selector = f"jobset.sigs.k8s.io/jobset-name={name}"
    return backend.core_api.list_namespaced_pod(backend.namespace, label_selector=selector).items


def _states(name: str, client: Any) -> Iterator[tuple[str, Any]]:
    """Pod and state of every container."""
    for pod in _pods(name, client):
        for found in pod.status.container_statuses or ():
            for state in (found.state, found.last_state):
                if state is not None:
                    yield pod.metadata.name, state


def _waiting(name: str, client: Any) -> list[str]:
    return [state.waiting.reason for _, state in _states(name, client) if state.waiting and state.waiting.reason]


def _warnings(name: str, client: Any) -> list[tuple[str, str]]:
    """Events that tell of trouble, by reason."""
    try:
        events = client.get_job_events(name)
    except NotImplementedError:
        return []
    usual = {"Scheduled", "Pulling", "Pulled", "Created", "Started", "SuccessfulCreate", "Completed"}
    return [(event.reason, event.message) for event in events if event.reason not in usual]


def _reason(name: str, client: Any, warnings: Mapping[str, str], log: Sequence[str]) -> str:
    """One sentence: what most likely stopped the job."""
    with suppress(Exception):  # what explains an error must not hide it
        for pod, state in _states(name, client):
            if state.terminated and state.terminated.reason == "OOMKilled":
                return f"{pod} ran out of memory; give the nodes more, or lower batch_size"
        for reason in _waiting(name, client):
            if reason in _PULL:
                return "the image cannot be pulled"
        for pod in _pods(name, client):
            if pod.status.reason in ("Evicted", "Preempting"):
                return f"{pod.metadata.name} was evicted: {pod.status.message}"
    tail = [line for line in log if line.strip()][-_KEPT_LINES:]
    for line in reversed(tail):
        if "NCCL" in line and ("error" in line.lower() or "timeout" in line.lower()):
            return f"the nodes lost each other: {line.strip()}"
        if "CUDA out of memory" in line or "OutOfMemoryError" in line:
            return "a GPU ran out of memory; lower batch_size or raise accumulate"
    for key, hint in (("FailedCreate", "the quota does not allow it"), ("FailedScheduling", "no node has room")):
        if key in warnings:
            return f"{hint}: {warnings[key]}"
    if "DeadlineExceeded" in warnings:
        return f"it took too long: {warnings['DeadlineExceeded']}"
    return tail[-1].strip() if tail else "the cluster gives no reason; see the log of its pods"


@contextmanager
def _deleted_unless_done(job: Job, client: Any, say: Callable[[str], None]) -> Iterator[None]:
    """Delete the job where the block is told to stop (SIGTERM) or gives up. One that failed stays, to be looked at."""

    def stop(*_: Any) -> None:
        raise _Stopped

    here = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGTERM, stop) if here else None
    try:
        yield
    except JobFailed:
        raise
    except BaseException as error:
        say(f"TrainJob {job.name}: deleted")
        with suppress(RuntimeError, TimeoutError, ValueError):
            client.delete_job(job.name)
        if isinstance(error, _Stopped):
            raise OFAError(
                f"TrainJob {job.name}: stopped on request; started again, it goes on from its last checkpoint"
            ) from None
        raise
    finally:
        if here:
            signal.signal(signal.SIGTERM, before)


def _why(error: BaseException) -> str:
    cause = error.__cause__ or error
    return " ".join(str(getattr(cause, "body", None) or cause).split())[:500]
