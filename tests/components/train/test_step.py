"""A training of a pipeline runs in its step, or as a TrainJob whose results become those of the step."""

import json
import os
import shutil
import threading
import zipfile
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import yaml
from kfp import dsl
from kubeflow.trainer import LocalProcessBackendConfig, TrainerClient

from components.train import step
from components.train.trainjob import PRIORITY, QUEUE, JobFailed
from components.train.trainjob import RUN as LABEL
from ofa import checkpoint
from ofa.errors import OFAError
from tests.components.train.cluster import JOBS, NAMESPACE, Cluster
from tests.components.train.conftest import PARAMS

PLACED = dsl.TaskConfig(
    resources={"requests": {"cpu": "8", "memory": "32Gi"}, "limits": {"memory": "32Gi"}},
    env=[{"name": "NCCL_DEBUG", "value": "INFO"}, {"name": step.RUN, "valueFrom": {"fieldRef": {"fieldPath": "x"}}}],
    node_selector={"gpu": "h100"},
    tolerations=[{"key": "nvidia.com/gpu", "operator": "Exists"}],
    volumes=[{"name": "training-data", "persistentVolumeClaim": {"claimName": "training-data"}}],
    volume_mounts=[{"name": "training-data", "mountPath": "/training/data"}],
)


@pytest.fixture
def artifacts(tmp_path, monkeypatch):
    """A function from a name to an artifact of a step; in a folder of its own, as in a pod."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(step.RUN, "run-1")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")  # the step sets it
    for name in ("MLFLOW_EXPERIMENT_ID", "MLFLOW_RUN_ID"):  # a training before may have left them
        monkeypatch.delenv(name, raising=False)
    for volume in (step.DATA, step.CHECKPOINTS):
        (tmp_path / "shared" / volume).mkdir(parents=True)
    return lambda name: SimpleNamespace(path=str(tmp_path / name), uri=f"s3://bucket/{name}")


@pytest.fixture
def cluster():
    made = Cluster()
    yield made
    made.close()


def registry(artifacts):
    return f"sqlite:///{artifacts('mlflow.db').path}"  # the same from every folder


def on_nodes(artifacts, small_tables, client, sections, **more):
    tables = SimpleNamespace(path=str(small_tables), uri="s3://bucket/tables")
    return step.train(
        "stem", {"tables": tables}, artifacts("network"), artifacts("run"), sections, registry(artifacts),
        nodes=2, hours=3, shared=str(artifacts("shared").path), client=client, **more,
    )  # fmt: skip


def test_the_job_gets_what_kubeflow_pipelines_was_told(artifacts, small_tables, cluster):
    jobs = []
    for attempt in ("first", "again", "of another run"):
        if attempt == "of another run":
            os.environ[step.RUN] = "run-2"
        cluster.play = lambda name: cluster.end(name, "Failed")
        with pytest.raises(JobFailed):
            on_nodes(artifacts, small_tables, cluster.client(), {"stem": {}}, gpus=2, queue="training", placed=PLACED)
        jobs.append(cluster.made[-1])
    first, again, other = jobs
    assert first["metadata"]["name"] == again["metadata"]["name"] != other["metadata"]["name"]
    assert first["metadata"]["labels"] == {QUEUE: "training", PRIORITY: "ofa-training", LABEL: "run-1"}
    spec = first["spec"]
    assert spec["runtimeRef"]["name"] == "ofa-torch" and spec["activeDeadlineSeconds"] == 3 * 3600
    trainer = spec["trainer"]
    assert trainer["numNodes"] == 2
    assert trainer["resourcesPerNode"]["limits"] == {"cpu": "8", "memory": "32Gi", "nvidia.com/gpu": 2}
    env = {entry["name"]: entry["value"] for entry in trainer["env"]}
    assert env == {"NCCL_DEBUG": "INFO", "MLFLOW_TRACKING_URI": registry(artifacts)}
    (patch,) = spec["runtimePatches"]
    (node,) = patch["trainingRuntimeSpec"]["template"]["spec"]["replicatedJobs"]
    pods = node["template"]["spec"]["template"]["spec"]
    assert pods["nodeSelector"] == PLACED.node_selector and pods["tolerations"] == PLACED.tolerations
    assert pods["volumes"] == PLACED.volumes and pods["containers"][0]["volumeMounts"] == PLACED.volume_mounts

    def flags(job):
        given = job["spec"]["trainer"]["command"]
        return dict(zip(given[4::2], given[5::2], strict=True))

    assert flags(first)["--work"] == flags(other)["--work"], "a later run goes on from the checkpoints of the first"
    assert flags(first)["--tables"] == flags(other)["--tables"], "... for which the inputs need the same path"
    assert flags(first)["--out"] != flags(other)["--out"]


def test_a_run_that_ends_leaves_no_jobs_and_its_checkpoints_only_if_it_failed(artifacts, small_tables, cluster):
    shared = artifacts("shared").path
    cluster.play = lambda name: cluster.end(name, "Failed")
    for succeeded in (False, True):
        with pytest.raises(JobFailed):
            on_nodes(artifacts, small_tables, cluster.client(), {"stem": {}})
        step.clear("run-1", succeeded, shared, cluster.client())
        assert cluster.api.objects[JOBS, NAMESPACE, cluster.made[-1]["metadata"]["name"]].deleted
        assert os.listdir(f"{shared}/data") == []
        assert bool(os.listdir(f"{shared}/checkpoints")) != succeeded


def test_what_is_missing_is_named(artifacts, small_tables, monkeypatch):
    shutil.rmtree(artifacts("shared").path + "/checkpoints")
    with pytest.raises(OFAError, match="shared/checkpoints: the volume that the nodes share is not mounted there"):
        on_nodes(artifacts, small_tables, None, {"stem": {}})
    monkeypatch.delenv(step.RUN)
    with pytest.raises(OFAError, match="only a step of a pipeline trains"):
        on_nodes(artifacts, small_tables, None, {"stem": {}})


@pytest.fixture
def local_client(tmp_path, root, monkeypatch):
    """A function that makes a client of Kubeflow's back end of local processes.

    That installs torch into an environment of its own. The package that it finds here leads to this environment's torch
    and to this code instead of a download; `pip`, `torchrun` and the processes are real.
    """
    index = tmp_path / "index" / "torch"
    index.mkdir(parents=True)
    info = "torch-9.dist-info"
    content = {
        "here.pth": f"{Path(yaml.__file__).parent.parent}\n{root}\n",
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: torch\nVersion: 9\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": "[console_scripts]\ntorchrun = torch.distributed.run:main\n",
        f"{info}/RECORD": "",
    }
    with zipfile.ZipFile(index / "torch-9-py3-none-any.whl", "w") as wheel:
        for name, text in content.items():
            wheel.writestr(name, text)
    (index / "index.html").write_text('<a href="torch-9-py3-none-any.whl">torch-9-py3-none-any.whl</a>')
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setattr("kubeflow.trainer.constants.constants.DEFAULT_PIP_INDEX_URLS", [f"file://{index.parent}"])
    monkeypatch.setattr(step, "RUNTIME", "torch-distributed")  # the one that this back end has
    return lambda: TrainerClient(LocalProcessBackendConfig())


def test_a_job_of_real_processes_is_killed_and_the_next_attempt_goes_on(artifacts, small_tables, local_client, capfd):
    train = PARAMS["train"] | {"checkpoint_every": 1, "steps": 60}
    sections = {key: PARAMS[key] for key in ("model", "stem", "pretrain")} | {"train": train}
    kept = f"{artifacts('shared').path}/checkpoints"

    def kill():
        """Kill what trains, as a node that breaks down does, once it has written a checkpoint."""
        while not list(Path(kept).glob("*/work/checkpoints/step_*")):
            if failed.wait(0.05):
                return
        for process in psutil.Process().children(recursive=True):
            if any("/train_stem-" in word for word in process.cmdline()):  # the file that Kubeflow makes of a function
                process.kill()

    failed = threading.Event()
    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    with pytest.raises(JobFailed) as failure:
        on_nodes(artifacts, small_tables, local_client(), sections)
    failed.set()
    killer.join()
    assert list(Path(kept).glob("*/work/checkpoints/step_*")), failure
    capfd.readouterr()
    metrics = on_nodes(artifacts, small_tables, local_client(), sections)
    assert "going on after step" in "".join(capfd.readouterr())
    run = artifacts("run").path
    result = json.loads(Path(run, "stem", step.RESULT).read_text())
    assert result["steps"] == 60 and result["metrics"] == metrics
    rows = Path(run, "stem", "history.csv").read_text().splitlines()
    assert [int(row.split(",")[0]) for row in rows[1:]] == list(range(1, 61))
    assert not os.path.exists(f"{run}/stem/checkpoints"), "they stay on the volume"
    assert checkpoint.load_folder(artifacts("network").path)
