"""What a cluster says of a TrainJob: its pods, its warnings, and what most likely made it fail."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

PULL = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName")
"""Why a container waits whose image cannot be had."""

DEADLINE = "DeadlineExceeded"
"""Why a job failed that took longer than it may."""

_USUAL = {"Scheduled", "Pulling", "Pulled", "Created", "Started", "SuccessfulCreate", "Completed"}
_KEPT_LINES = 200


def is_cluster(client: Any) -> bool:
    """Whether a `TrainerClient` is one of a cluster, not of processes on this machine."""
    return hasattr(client.backend, "core_api")


def warnings(name: str, client: Any) -> list[tuple[str, str]]:
    """Reason and text of the events that tell of trouble."""
    if not is_cluster(client):
        return []
    return [(event.reason, event.message) for event in client.get_job_events(name) if event.reason not in _USUAL]


def waiting(name: str, client: Any) -> list[str]:
    """Why containers wait."""
    return [state.waiting.reason for _, state in _states(name, client) if state.waiting and state.waiting.reason]


def condition(name: str, client: Any) -> str:
    """Reason of the condition Failed; empty if the job has none."""
    if not is_cluster(client):
        return ""
    backend = client.backend
    job = backend.custom_api.get_namespaced_custom_object(
        "trainer.kubeflow.org", "v1alpha1", backend.namespace, "trainjobs", name
    )
    found = job.get("status", {}).get("conditions") or ()
    return next((one["reason"] for one in found if one["type"] == "Failed" and one["status"] == "True"), "")


def reason(name: str, client: Any, told: Mapping[str, str], log: Sequence[str]) -> str:
    """One sentence: what most likely stopped the job.

    Args:
        name: of the job.
        client: `TrainerClient`.
        told: texts of the warnings so far, by reason.
        log: lines of the first node's log.
    """
    with suppress(Exception):  # what explains an error must not hide it
        for pod, state in _states(name, client):
            if state.terminated and state.terminated.reason == "OOMKilled":
                return f"{pod} ran out of memory; give the nodes more, or lower batch_size"
        for why in waiting(name, client):
            if why in PULL:
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
        if key in told:
            return f"{hint}: {told[key]}"
    return tail[-1].strip() if tail else "the cluster gives no reason; see the log of its pods"


def _pods(name: str, client: Any) -> Sequence[Any]:
    if not is_cluster(client):
        return ()
    selector = f"jobset.sigs.k8s.io/jobset-name={name}"
    return client.backend.core_api.list_namespaced_pod(client.backend.namespace, label_selector=selector).items


def _states(name: str, client: Any) -> Iterator[tuple[str, Any]]:
    """Pod and state of every container."""
    for pod in _pods(name, client):
        for found in pod.status.container_statuses or ():
            for state in (found.state, found.last_state):
                if state is not None:
                    yield pod.metadata.name, state
