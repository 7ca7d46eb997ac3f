"""A training on many nodes: a TrainJob of Kubeflow Trainer v2, made, followed and cleared away.

The job is known by its name: who asks for it again, as a step that is retried does, gets the one that is there. One
that failed is made anew and goes on from the checkpoints that its nodes wrote to the shared volume.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from components.kubernetes import connecting
from components.kubernetes import reason as said
from components.train.reasons import DEADLINE, PULL, condition, is_cluster, reason, waiting, warnings
from ofa.errors import OFAError

QUEUE, PRIORITY = "kueue.x-k8s.io/queue-name", "kueue.x-k8s.io/priority-class"
RUN = "ofa/pipeline-run"
"""Label with the id of the pipeline run that a job belongs to."""

MODULE = "components.train.cli"
"""What torchrun runs on every node."""

_NODE = "node"


class JobFailed(OFAError):
    """The training ended with an error; the message names the reason."""


class Unanswered(OFAError):
    """The cluster does not answer. The job may be well: who asks for it again goes on with it."""


class _Stopped(BaseException):
    """This process was told to stop. Kubeflow's client would take an `Exception` for a failed request."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is asked of the cluster."""

    name: str
    arguments: Sequence[str]
    """Of `ofa train`, which every node runs by torchrun: that finds the others from what the runtime sets."""
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
    priority: str = "ofa-training"
    """Its class in that queue: `k8s/components/kueue/priorities.yaml`."""
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
        JobFailed: it failed; the message says why: no memory, no quota, lost connections ... It stays, to be looked at.
        Unanswered: the cluster does not answer.
        OFAError: there is no cluster, or it refuses the job, cannot get its image, or stops it because it took too
            long; somebody deleted it, or this process was told to stop. Nothing is left of the job.
    """
    client = client or _cluster()
    with _deleted_unless_done(job, client, say):
        _make(job, client, say)
        _follow(job, client, say, pause, patience)


def delete_all(run: str, client: Any = None) -> None:
    """Delete the jobs of a pipeline run, whatever became of them.

    Raises:
        OFAError: there is no cluster, or it does not answer, or refuses.
    """
    client = client or _cluster()
    backend = client.backend
    place = ("trainer.kubeflow.org", "v1alpha1", backend.namespace, "trainjobs")
    try:
        found = backend.custom_api.list_namespaced_custom_object(*place, label_selector=f"{RUN}={run}")
        for job in found["items"]:
            client.delete_job(job["metadata"]["name"])
    except Exception as error:  # each layer of the client has its own kind
        raise OFAError(f"TrainJobs of run {run} cannot be deleted: {_why(error)}") from error


def _cluster() -> Any:
    """Kubeflow's client of the current context, or of the pod that this runs in."""
    from kubeflow.trainer import TrainerClient

    with connecting():
        return TrainerClient()


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
    labels |= {QUEUE: job.queue, PRIORITY: job.priority} if job.queue else {}
    found = [
        kubeflow.Name(job.name),
        kubeflow.Labels(labels),
        kubeflow.TrainerCommand(["torchrun", "-m", MODULE, *job.arguments]),
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


def _asked(job: Job, client: Any) -> dict[str, Any]:
    """The job as `TrainerClient.train` takes it; its back end of local processes takes a function, and no options."""
    from kubeflow.trainer import CustomTrainer, CustomTrainerContainer
    from kubeflow.trainer import options as kubeflow

    if not is_cluster(client):
        given = {"module": MODULE, "arguments": list(job.arguments)}
        trainer = CustomTrainer(
            func=_run, func_args=given, env={**os.environ, **job.env}, packages_to_install=["torch"]
        )
        return {"trainer": trainer, "options": [kubeflow.Name(job.name)]}
    trainer = CustomTrainerContainer(
        image=job.image, num_nodes=job.nodes, resources_per_node=dict(job.resources) or None, env=dict(job.env) or None
    )
    return {"trainer": trainer, "options": options(job)}


def _run(given):
    """Kubeflow copies the text of this function into a file that torchrun starts."""
    import runpy
    import sys

    sys.argv = [given["module"], *given["arguments"]]
    runpy.run_module(given["module"], run_name="__main__", alter_sys=True)


def _make(job: Job, client: Any, say: Callable[[str], None]) -> None:
    for attempt in (1, 2):
        try:
            client.train(runtime=job.runtime, **_asked(job, client))
            say(f"TrainJob {job.name}: made, {job.nodes} nodes")
            return
        except (RuntimeError, TimeoutError, ValueError) as error:
            if _status(error) != 409 or attempt == 2:
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
    told: dict[str, str] = {}
    answered = time.monotonic()
    stuck_since = None
    while True:
        try:
            found, news = client.get_job(job.name), warnings(job.name, client)
            blocked = any(why in PULL for why in waiting(job.name, client))
            failure = condition(job.name, client) if found.status == "Failed" else ""
            answered = time.monotonic()
        except Exception as error:  # of the client, of the API, of the network below it: each has its own kind
            if _status(error) == 404:
                raise OFAError(f"TrainJob {job.name}: somebody deleted it, or its runtime {job.runtime}") from error
            if time.monotonic() - answered > patience:
                raise Unanswered(f"TrainJob {job.name}: the cluster does not answer: {_why(error)}") from error
            time.sleep(pause)
            continue
        for why, text in news:
            if told.get(why) != text:
                say(f"{why}: {text}")
                told[why] = text
        if found.status in ("Complete", "Failed"):
            log.finish()
        if found.status == "Complete":
            return
        if failure == DEADLINE:
            raise OFAError(f"TrainJob {job.name}: stopped after {job.hours:g} hours; started again, it goes on")
        if found.status == "Failed":
            raise JobFailed(f"TrainJob {job.name} failed: {reason(job.name, client, told, log.lines)}")
        # The job itself says "Created" as long as it is not done; its pods know more.
        if any(step.status in ("Running", "Succeeded") for step in found.steps):
            log.start()
            stuck_since = None
        elif blocked:
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
        with suppress(Exception):  # `_follow` sees for itself whether the cluster is there
            for number, line in enumerate(self._client.get_job_logs(self._name, follow=True)):
                if number < seen and self.lines[number] == line:
                    continue  # the same pod, read again after the connection broke
                self._say(line)
                self.lines.append(line)


@contextmanager
def _deleted_unless_done(job: Job, client: Any, say: Callable[[str], None]) -> Iterator[None]:
    """Delete the job where the block is told to stop (SIGTERM) or gives up."""

    def stop(*_: Any) -> None:
        raise _Stopped

    here = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGTERM, stop) if here else None
    try:
        yield
    except (JobFailed, Unanswered):
        raise
    except BaseException as error:
        with suppress(RuntimeError, TimeoutError, ValueError):
            client.delete_job(job.name)
            say(f"TrainJob {job.name}: deleted")
        if isinstance(error, _Stopped):
            raise OFAError(
                f"TrainJob {job.name}: stopped on request; started again, it goes on from its last checkpoint"
            ) from None
        raise
    finally:
        if here:
            signal.signal(signal.SIGTERM, before)


def _status(error: BaseException) -> int | None:
    """The answer's status, where the API answered."""
    return getattr(error.__cause__ or error, "status", None)


def _why(error: BaseException) -> str:
    cause = error.__cause__ or error
    return " ".join((said(cause) if getattr(cause, "body", None) else str(cause)).split())[:500]
