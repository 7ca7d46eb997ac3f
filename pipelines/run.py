"""Pipelines on this machine: every step a process, or a container of its image."""

import builtins
import copy
import json
import logging
import os
import signal
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from kfp import local

from components.deploy.registry import Registry
from ofa.errors import OFAError, nearest
from pipelines.arguments import arguments
from pipelines.catalog import Pipeline, pipeline


def _docker() -> local.DockerRunner:
    """Containers as a cluster runs them: with a root file system that cannot be written, without privileges. They reach
    what this machine reaches, and their files belong to who started them."""
    return local.DockerRunner(
        network_mode="host",
        user=f"{os.getuid()}:{os.getgid()}",
        read_only=True,
        tmpfs={"/tmp": "mode=1777"},
        cap_drop=["ALL"],
        security_opt=["no-new-privileges"],
        shm_size="2g",  # batches pass between processes through shared memory
    )


RUNNERS: dict[str, Callable[[], local.SubprocessRunner | local.DockerRunner]] = {
    "subprocess": lambda: local.SubprocessRunner(use_venv=False),
    "docker": _docker,
}


@dataclass(frozen=True)
class Finished:
    """What a run came to."""

    folder: Path
    """Everything that the steps made."""
    registry: str
    """MLflow tracking address."""
    seconds: float

    @property
    def decision(self) -> str:
        """promote, reject or undecided; empty if no gate was asked."""
        return json.loads(self.gate.read_text(encoding="utf-8"))["decision"] if self.gate else ""

    @property
    def gate(self) -> Path | None:
        """The gate's decision with all its rules, as JSON; the same as Markdown lies beside it."""
        return next(self.folder.glob("**/gate-release/decision.json"), None)

    @property
    def evaluations(self) -> list[Path]:
        """What the networks scored, a folder a task."""
        return sorted(self.folder.glob("**/evaluate-network/evaluation"))

    @property
    def report(self) -> Path | None:
        """The page with scores, curves, pictures, lineage and the gate's decision, if there is one."""
        return next(self.folder.glob("**/write-report/page.html"), None)

    @property
    def end(self) -> Path | None:
        """The page about how the run ended."""
        return next(self.folder.glob("**/close-run/page.html"), None)


@contextmanager
def _no_second_attempts(chosen: Pipeline) -> Iterator[None]:
    """While the block runs, a step that fails is not started again: on one machine it would only fail again."""
    spec = chosen.component.pipeline_spec
    kept = copy.deepcopy(spec)
    for dag in (spec.root.dag, *(component.dag for component in spec.components.values())):
        for task in dag.tasks.values():
            task.ClearField("retry_policy")
    try:
        yield
    finally:
        spec.CopyFrom(kept)


@contextmanager
def undisturbed() -> Iterator[None]:
    """After the block, `print` and the root logger are as they were before: KFP changes both while a step runs, and of
    steps side by side it leaves the changed ones behind."""
    kept, logger = builtins.print, logging.getLogger()
    level, handlers = logger.level, logger.handlers[:]
    try:
        yield
    finally:
        builtins.print = kept
        logger.setLevel(level)
        logger.handlers[:] = handlers


@contextmanager
def _scratch() -> Iterator[None]:
    """While the block runs, temporary files of processes that it starts lie in a folder of its own, which goes with it:
    KFP leaves the program of every step behind."""
    with tempfile.TemporaryDirectory(prefix="ofa-run-", ignore_cleanup_errors=True) as folder:
        before = os.environ.get("TMPDIR")
        os.environ["TMPDIR"] = folder
        try:
            yield
        finally:
            del os.environ["TMPDIR"]
            os.environ.update({"TMPDIR": before} if before is not None else {})


@contextmanager
def _stoppable(seconds: float = 60.0) -> Iterator[None]:
    """Let Ctrl-C and SIGTERM stop the steps that run, too; a training has `seconds` to write a checkpoint."""

    def stop(signum: int, _: Any) -> None:
        steps = psutil.Process().children(recursive=True)
        for process in steps:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signum)
        for process in psutil.wait_procs(steps, seconds)[1]:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        raise SystemExit(128 + signum)

    signals = (signal.SIGINT, signal.SIGTERM) if threading.current_thread() is threading.main_thread() else ()
    before = [signal.signal(signum, stop) for signum in signals]
    try:
        yield
    finally:
        for signum, handler in zip(signals, before, strict=True):
            signal.signal(signum, handler)


def _refuse_unseen(folders: Mapping[str, str], root: Path) -> None:
    """Refuse folders of this machine that containers do not see: all but those in `root`."""
    for key, folder in folders.items():
        if ":/" not in folder and not (Path(folder).is_absolute() and root in Path(folder).parents):
            raise OFAError(
                f"{key}={folder}: containers see nothing of this machine but --out ({root}); copy the folder there and "
                f"name it from /, or take --runner subprocess"
            )


def run(
    name: str,
    params: Mapping[str, Any],
    runner: str,
    out: str,
    registry: str = "",
    given: Mapping[str, Any] | None = None,
) -> Finished:
    """Run a pipeline here.

    Args:
        name: of the pipeline.
        params: the content of params.yaml.
        runner: a key of `RUNNERS`.
        out: folder that gets a folder a run, and the registry if none is named.
        registry: MLflow tracking address; empty for a database in `out`.
        given: arguments besides params.yaml.

    Raises:
        OFAError: the settings do not fit the pipeline, or a step failed; its own words stand in the output above.
    """
    chosen = pipeline(name)
    if runner not in RUNNERS:
        raise OFAError(f"no runner '{runner}'{nearest(runner, list(RUNNERS))} (there are: {', '.join(RUNNERS)})")
    here = {"nodes": 0} if "nodes" in chosen.parameters else {}
    values = arguments(chosen, params, here | dict(given or {}))
    missing = [needed for needed in chosen.needs if needed not in values]
    if missing:
        raise OFAError(f"pipeline '{name}' needs {', '.join(missing)}: give it as {missing[0]}=VALUE")
    root = Path(out).absolute()
    if runner == "docker":
        _refuse_unseen({key: values[key] for key in (*chosen.needs, *chosen.optional) if values.get(key)}, root)
    root.mkdir(parents=True, exist_ok=True)
    registry = registry or f"sqlite:///{root / 'mlflow.db'}"
    Registry(registry).experiment()  # a database is made here once, not by two steps at the same time
    before = set(root.iterdir())
    start = time.monotonic()
    # No step asks for a workspace, a volume of the run. KFP makes a folder for it here unless its name is empty.
    local.init(RUNNERS[runner](), pipeline_root=str(root), workspace_root="", raise_on_error=True)
    failed = False
    with _no_second_attempts(chosen), undisturbed(), _scratch(), _stoppable(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Task '.*': settings", UserWarning)  # of clusters
        try:
            chosen.component(**values, registry=registry)
        except RuntimeError:
            failed = True
    seconds = time.monotonic() - start
    (folder,) = (path for path in set(root.iterdir()) - before if path.is_dir() and path.name.startswith("ofa-"))
    finished = Finished(folder, registry, seconds)
    if failed:
        page = f"; {finished.end}" if finished.end else ""
        raise OFAError(f"the pipeline stopped because a step failed: the output above says which and why{page}")
    return finished
