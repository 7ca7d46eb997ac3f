"""A training as a step of a pipeline: in this process, or on nodes of a cluster.

On a cluster the step itself only waits. Its inputs are put on a volume that all nodes share, once for each run of a
pipeline; a TrainJob trains there; what it made becomes the step's outputs. Checkpoints lie on another volume, by what
they come from: a later run with the same data and settings goes on where one that failed has stopped.
"""

import hashlib
import importlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from components.params import save_sections
from components.train import trainjob
from ofa.errors import OFAError

SHARED = "/training"
"""Where the volumes that all nodes share are mounted, here and there."""

DATA, CHECKPOINTS = "data", "checkpoints"
"""Folders of `SHARED`, each a volume: what a run trains on and makes, and what a later one goes on from."""

RUN = "OFA_PIPELINE_RUN"
"""Variable with the id of the pipeline run."""

RESULT = "result.json"
"""In a training's folder: how it ended."""

_KEPT = "kept"
"""In the folder of a run's training: where its checkpoints are."""

RUNTIME = "ofa-torch"
"""The TrainingRuntime of `k8s/runs/runtime.yaml`."""


class Artifact(Protocol):
    """What KFP hands over: where it lies, and the address that names its content."""

    path: str
    uri: str


class Placement(Protocol):
    """`kfp.dsl.TaskConfig`: what KFP was told about the machines, for those who start more of them."""

    resources: Mapping[str, Any] | None
    env: Sequence[Mapping[str, Any]] | None
    node_selector: Mapping[str, str] | None
    tolerations: Sequence[Mapping[str, Any]] | None
    affinity: Mapping[str, Any] | None
    volumes: Sequence[Mapping[str, Any]] | None
    volume_mounts: Sequence[Mapping[str, Any]] | None


def train(
    step: str,
    inputs: Mapping[str, Artifact],
    network: Artifact,
    run: Artifact,
    sections: Mapping[str, Mapping[str, Any]],
    registry: str,
    *,
    key: str = "",
    nodes: int = 0,
    gpus: int = 0,
    queue: str = "",
    hours: float = 24.0,
    placed: Placement | None = None,
    shared: str = SHARED,
    client: Any = None,
) -> dict[str, float]:
    """Run a training; its last validation's metrics.

    Args:
        step: vqgan, stem, pretrain or finetune.
        inputs: `tables`, and `init` where it starts from a network.
        network: gets the network.
        run: gets a folder with the settings and a folder with the curves; of a training on nodes no checkpoints.
        sections: sections of params.yaml that the step reads.
        registry: MLflow tracking address that the curves are logged to.
        key: which part of its section; for finetune.
        nodes: of the cluster; 0: this process trains.
        gpus: of each of them.
        queue: Kueue's queue; empty: none.
        hours: the cluster stops a training on nodes after that long.
        placed: what each node is given besides.
        shared: folder of the volumes that all nodes share.
        client: `kubeflow.trainer.TrainerClient`; by default one of the cluster that this runs in.

    Raises:
        OFAError: the training failed, or the cluster cannot run it.
    """
    os.environ["MLFLOW_TRACKING_URI"] = registry
    params = save_sections(run.path, **sections)
    work = Path(run.path) / (key or step)
    if not nodes:
        function = getattr(importlib.import_module(f"components.train.{step}"), step)
        given = {name: artifact.path for name, artifact in inputs.items()} | ({"name": key} if key else {})
        return function(**given, out=network.path, work=str(work), params=params).metrics
    folder = _Folder(Path(shared), step, key, inputs, sections)
    arguments = [step, *([key] if key else []), "--work", str(folder.work), "--out", str(folder.network)]
    for name, artifact in inputs.items():
        arguments += [f"--{name}", str(folder.put(name, artifact))]
    arguments += ["--params", save_sections(folder.path, **sections)]
    job = _job(folder.name, arguments, gpus, placed) | {
        "nodes": nodes,
        "queue": queue,
        "hours": hours,
        "run": folder.run,
    }
    trainjob.train(trainjob.Job(**job, runtime=RUNTIME), client)
    shutil.copytree(folder.network, network.path, dirs_exist_ok=True)
    shutil.copytree(folder.work, work, ignore=shutil.ignore_patterns("checkpoints", ".lock"))
    return json.loads((work / RESULT).read_text(encoding="utf-8"))["metrics"]


def clear(run: str, succeeded: bool, shared: str = SHARED, client: Any = None) -> None:
    """Remove what a run of a pipeline left on a cluster: its jobs and its files, and its checkpoints if it succeeded.

    Raises:
        OFAError: the cluster does not let us.
    """
    trainjob.delete_all(run, client)
    folder = Path(shared) / DATA / run
    if succeeded:
        for link in folder.glob(f"*/{_KEPT}"):
            shutil.rmtree(link.resolve(), ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)


def _job(name: str, arguments: Sequence[str], gpus: int, placed: Placement | None) -> dict[str, Any]:
    """What KFP was told about the step, and its GPUs, as fields of a job."""
    known = ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_ID", "MLFLOW_RUN_ID")
    env = {name: os.environ[name] for name in known if name in os.environ}
    found: dict[str, Any] = {"name": name, "arguments": arguments}
    wanted = {"gpu": gpus} if gpus else {}
    if placed is None:
        return found | {"env": env, "resources": wanted}
    env = {entry["name"]: entry["value"] for entry in placed.env or () if "value" in entry} | env
    resources = placed.resources or {}
    for field in ("node_selector", "tolerations", "affinity", "volumes", "volume_mounts"):
        if value := getattr(placed, field):
            found[field] = value
    return found | {"env": env, "resources": resources.get("requests", {}) | resources.get("limits", {}) | wanted}


class _Folder:
    """The place of a training on the shared volumes."""

    def __init__(
        self,
        shared: Path,
        step: str,
        key: str,
        inputs: Mapping[str, Artifact],
        sections: Mapping[str, Mapping[str, Any]],
    ):
        self.run = os.environ.get(RUN, "")
        if not self.run:
            raise OFAError(f"{RUN} is not set: on nodes of a cluster only a step of a pipeline trains")
        for volume in (shared / DATA, shared / CHECKPOINTS):
            if not volume.is_dir():
                raise OFAError(f"{volume}: the volume that the nodes share is not mounted there")
        title = f"{step}-{key}".strip("-").replace("_", "-").lower()
        self.name = f"{title[:40]}-{_digest([self.run, step, key])}"
        """Of the job: the same for each attempt of a step."""
        self._inputs = shared / DATA / self.run / "inputs"
        self.path = shared / DATA / self.run / self.name
        self.path.mkdir(parents=True, exist_ok=True)
        self.network = self.path / "network"
        content = [step, key, {name: artifact.uri for name, artifact in inputs.items()}, sections]
        self._kept = shared / CHECKPOINTS / _digest(content)
        self.work = self._kept / "work"
        self.work.mkdir(parents=True, exist_ok=True)
        _link(self.path / _KEPT, self._kept)

    def put(self, name: str, artifact: Artifact) -> Path:
        """Where an input lies on the volume: one copy for all trainings of a run. The path is that of later runs, too:
        a training that starts from another one is another training."""
        place = self._inputs / _digest(artifact.uri)
        if not place.is_dir():
            self._inputs.mkdir(parents=True, exist_ok=True)
            staging = Path(tempfile.mkdtemp(dir=self._inputs, prefix=".partial-"))
            shutil.copytree(artifact.path, staging, dirs_exist_ok=True)
            staging.chmod(0o755)
            try:
                staging.rename(place)
            except OSError:  # another step was first
                shutil.rmtree(staging)
        return _link(self._kept / name, place)


def _link(link: Path, to: Path) -> Path:
    """Make `link` point to a folder, whatever it pointed to."""
    made = link.with_name(f".{link.name}.partial")
    made.unlink(missing_ok=True)
    made.symlink_to(to)
    return made.replace(link)


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]
