"""A TrainJob is what Kubeflow's models accept, is followed to its end, and is cleared away where nobody waits for it.

The client is the real one; the cluster's API is mocked (`cluster.py`) and plays success, failures, an eviction and
broken connections.
"""

import os
import signal
import threading

import kmock
import pytest
import yaml
from kubeflow_trainer_api import models

from components.train.trainjob import PRIORITY, QUEUE, RUN, Job, JobFailed, Unanswered, delete_all, train
from ofa.errors import OFAError
from tests.components.train.cluster import Cluster

JOB = Job(
    name="job",
    image="ofa-python-train:0.1.0",
    arguments=["pretrain", "--tables", "/training/tables"],
    nodes=4,
    resources={"cpu": 8, "memory": "32Gi", "gpu": 2},
    env={"MLFLOW_TRACKING_URI": "http://mlflow:5000"},
    queue="training",
    run="run-1",
    hours=2,
    runtime="ofa-torch",
    node_selector={"gpu": "h100"},
    tolerations=[{"key": "nvidia.com/gpu", "operator": "Exists"}],
    volumes=[{"name": "shared", "persistentVolumeClaim": {"claimName": "training"}}],
    volume_mounts=[{"name": "shared", "mountPath": "/shared"}],
)


@pytest.fixture
def cluster():
    made = Cluster()
    yield made
    made.close()


@pytest.fixture
def run(cluster):
    """A function that trains on the stand-in and returns what was said."""

    def start(job=JOB, patience=5.0):
        said = []
        train(job, cluster.client(), said.append, pause=0.02, patience=patience)
        return said

    return start


def looks(cluster, *steps):
    """Take one of `steps` at each look at the job."""
    waiting = iter(steps)

    def play(name):
        step = next(waiting, None)
        if step is not None:
            step(name)

    cluster.play = play


def test_the_job_is_what_was_asked_for_and_kubeflow_knows_every_field(cluster, run):
    looks(cluster, lambda name: cluster.pod(), lambda name: cluster.end(name, "Complete"))
    run()
    (job,) = cluster.made
    assert models.TrainerV1alpha1TrainJobSpec.from_dict(job["spec"]).to_dict() == job["spec"]
    assert job["metadata"]["labels"] == {QUEUE: "training", PRIORITY: "ofa-training", RUN: "run-1"}
    spec = job["spec"]
    assert spec["activeDeadlineSeconds"] == 7200
    assert spec["trainer"]["numNodes"] == 4 and spec["trainer"]["command"] == [
        "torchrun", "-m", "components.train.cli", "pretrain", "--tables", "/training/tables"
    ]  # fmt: skip
    limits = spec["trainer"]["resourcesPerNode"]["limits"]
    assert limits == {"cpu": 8, "memory": "32Gi", "nvidia.com/gpu": 2}
    (patch,) = spec["runtimePatches"]
    (node,) = patch["trainingRuntimeSpec"]["template"]["spec"]["replicatedJobs"]
    pods = node["template"]["spec"]["template"]["spec"]
    assert pods["nodeSelector"] == {"gpu": "h100"} and pods["tolerations"] == JOB.tolerations
    assert pods["volumes"] == JOB.volumes and pods["containers"][0]["volumeMounts"] == JOB.volume_mounts


def test_the_log_is_shown_and_a_finished_job_stays(cluster, run):
    cluster.log = "step 1 loss 2.5\nstep 2 loss 2.1\n"
    looks(cluster, lambda name: cluster.pod(), None, lambda name: cluster.end(name, "Complete"))
    said = run()
    assert [line for line in said if line.startswith("step")] == ["step 1 loss 2.5", "step 2 loss 2.1"]
    assert cluster.deleted == []


def test_a_step_has_the_rights_that_it_uses_and_no_others(cluster, run, root):
    looks(cluster, lambda name: cluster.pod(), None, lambda name: cluster.end(name, "Complete"))
    run()
    delete_all("run-1", cluster.client())
    role, _ = yaml.safe_load_all((root / "k8s/runs/accounts.yaml").read_text())
    allowed = {
        (group, resource, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    assert cluster.asked == allowed


@pytest.mark.parametrize(
    "pod, event, log, reason",
    [
        (
            {"phase": "Failed", "state": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}},
            None,
            "step 9",
            "job-node-0-0 ran out of memory",
        ),
        (
            {"phase": "Failed", "reason": "Evicted", "message": "node is low on memory"},
            None,
            "step 9",
            "job-node-0-0 was evicted: node is low on memory",
        ),
        ({}, None, "ncclInternalError NCCL error: connection closed by peer", "the nodes lost each other: nccl"),
        ({}, None, "torch.OutOfMemoryError: CUDA out of memory.", "a GPU ran out of memory"),
        ({}, ("FailedCreate", "exceeded quota: gpus"), "", "the quota does not allow it: exceeded quota: gpus"),
        ({}, ("FailedScheduling", "0/3 nodes are available"), "", "no node has room: 0/3 nodes are available"),
        ({}, None, "error: no table vqa_train.tsv", "error: no table vqa_train.tsv"),
    ],
)
def test_a_failure_is_named_and_the_job_stays_to_be_looked_at(cluster, run, pod, event, log, reason):
    cluster.log = log + "\n"
    if event:
        cluster.event(*event)
    looks(cluster, lambda name: cluster.pod(**pod), lambda name: cluster.end(name, "Failed"))
    with pytest.raises(JobFailed, match=reason):
        run()
    assert cluster.deleted == []


def test_an_image_that_cannot_be_pulled_is_given_up(cluster, run):
    cluster.pod("Pending", state={"waiting": {"reason": "ImagePullBackOff"}})
    with pytest.raises(OFAError, match="the image ofa-python-train:0.1.0 cannot be pulled"):
        run(patience=0.1)
    assert cluster.deleted == ["job"]


def test_a_retry_goes_on_with_the_job_that_is_there(cluster, run):
    looks(cluster, lambda name: cluster.pod(), lambda name: cluster.end(name, "Complete"))
    run()
    cluster.restart("job")  # as if the first attempt was lost while the job still ran
    looks(cluster, None, None, lambda name: cluster.end(name, "Complete"))
    assert any("it is there already" in line for line in run())
    assert len(cluster.made) == 1


def test_a_retry_replaces_the_job_that_failed(cluster, run):
    looks(cluster, lambda name: cluster.end(name, "Failed"))
    with pytest.raises(JobFailed):
        run()
    looks(cluster, None, lambda name: cluster.pod(), lambda name: cluster.end(name, "Complete"))
    said = run()
    assert cluster.deleted == ["job"] and len(cluster.made) == 2
    assert any("the one that failed is replaced" in line for line in said)


def test_a_broken_connection_is_outlived(cluster, run):
    def break_down(name):
        cluster.down = 5

    looks(cluster, break_down, break_down, None, lambda name: cluster.end(name, "Complete"))
    run()
    assert cluster.deleted == []


@pytest.mark.parametrize("part", ["pods", "events"])
def test_so_is_one_in_the_middle_of_a_look(cluster, run, part):
    failures = iter(range(3))

    def fail(request):
        if next(failures, None) is None:
            raise NotImplementedError  # kmock goes on to its next answer
        return 503

    looks(cluster, lambda name: cluster.pod(), *[None] * 5, lambda name: cluster.end(name, "Complete"))
    cluster.api["list", kmock.resource(f"v1/{part}")] << fail
    run()
    assert next(failures, None) is None and cluster.deleted == []


def test_where_there_is_no_cluster_that_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "none"))
    for ask in (lambda: train(JOB), lambda: delete_all("run-1")):
        with pytest.raises(OFAError, match="no cluster: .*; set KUBECONFIG"):
            ask()


def test_a_cluster_that_is_gone_is_given_up(cluster, run):
    def break_down(name):
        cluster.down = 10_000

    looks(cluster, break_down)
    with pytest.raises(Unanswered, match="the cluster does not answer"):
        run(patience=0.2)
    assert cluster.deleted == [], "it may be well, and a retry goes on with it"


def test_who_deletes_the_job_ends_the_wait(cluster, run):
    looks(cluster, None, cluster.remove)
    with pytest.raises(OFAError, match="somebody deleted it"):
        run()


def test_a_job_that_takes_too_long_is_deleted(cluster, run):
    looks(cluster, lambda name: cluster.pod(), lambda name: cluster.end(name, "Failed", "DeadlineExceeded"))
    with pytest.raises(OFAError, match="stopped after 2 hours; started again, it goes on"):
        run()
    assert cluster.deleted == ["job"]


def test_who_is_told_to_stop_deletes_the_job(cluster, run):
    looks(cluster, None, None, lambda name: os.kill(os.getpid(), signal.SIGTERM))
    before = signal.getsignal(signal.SIGTERM)
    assert threading.current_thread() is threading.main_thread()
    with pytest.raises(OFAError, match="stopped on request; started again, it goes on"):
        run()
    assert cluster.deleted == ["job"]
    assert signal.getsignal(signal.SIGTERM) is before
