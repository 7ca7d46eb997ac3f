"""Pipelines on this machine: every step a process, or a container of its image."""

import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kfp import local

from components.deploy.registry import Registry
from ofa.errors import OFAError, nearest
from pipelines.arguments import arguments
from pipelines.finetune import finetune


def _docker() -> local.DockerRunner:
    """Containers that reach what this machine reaches, and whose files belong to who started them."""
    return local.DockerRunner(
        network_mode="host",
        user=f"{os.getuid()}:{os.getgid()}",
        environment={"HOME": tempfile.gettempdir()},
        shm_size="2g",  # batches pass between processes through shared memory
    )


RUNNERS: dict[str, Callable[[], local.SubprocessRunner | local.DockerRunner]] = {
    "subprocess": lambda: local.SubprocessRunner(use_venv=False),
    "docker": _docker,
}


@dataclass(frozen=True)
class Finished:
    """What a run came to."""

    decision: str
    """promote, reject or undecided."""
    report: str
    """The page."""
    registry: str
    """MLflow tracking address."""


def run(params: Mapping[str, Any], runner: str, out: str, registry: str = "") -> Finished:
    """Run the pipeline here, from the fetched data to the promoted release.

    Args:
        params: the content of params.yaml.
        runner: a key of `RUNNERS`.
        out: folder that gets a folder a run, and the registry if none is named.
        registry: MLflow tracking address; empty for a database in `out`.

    Raises:
        OFAError: the settings do not fit the pipeline, or a step failed; its own words stand in the output above.
    """
    if runner not in RUNNERS:
        raise OFAError(f"no runner '{runner}'{nearest(runner, list(RUNNERS))} (there are: {', '.join(RUNNERS)})")
    values = arguments(params)
    root = Path(out).absolute()
    root.mkdir(parents=True, exist_ok=True)
    registry = registry or f"sqlite:///{root / 'mlflow.db'}"
    Registry(registry).experiment()  # a database is made here once, not by two steps at the same time
    local.init(RUNNERS[runner](), pipeline_root=str(root), workspace_root=tempfile.mkdtemp(), raise_on_error=False)
    outputs = finetune(**values, registry=registry).outputs
    if "decision" not in outputs:
        raise OFAError("the pipeline stopped because a step failed: the output above says which and why")
    return Finished(outputs["decision"], outputs["report"].path, registry)
