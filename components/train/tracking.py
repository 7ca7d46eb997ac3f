"""MLflow's record of a training run: settings, curves, files."""

import dataclasses
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from PIL.Image import Image

from ofa.errors import OFAError
from ofa.files import atomic_write

DEFAULT_URI = "sqlite:///mlflow.db"
EXPERIMENT = "ofa"
RUN_FILE = Path("checkpoints", "mlflow_run_id")
"""In a training's folder: the MLflow run that it writes to. It goes with the checkpoints when training starts anew."""


class Tracker:
    """Writes to one MLflow run, which opens with the first thing that is written. Made by `tracking`."""

    def __init__(self, open_run: Callable[[], str]):
        self._open, self._run_id = open_run, ""

    @property
    def run_id(self) -> str:
        """The run's id."""
        self._run_id = self._run_id or self._open()
        return self._run_id

    @property
    def is_open(self) -> bool:
        """Whether anything was written."""
        return bool(self._run_id)

    def __call__(self, step: int, metrics: Mapping[str, float]) -> None:
        """Log metrics of a step; the signature of a callback of `ofa.train.loop.train`."""
        import mlflow

        named = {name.replace("@", "_at_"): value for name, value in metrics.items()}
        mlflow.log_metrics(named, step=step, run_id=self.run_id, synchronous=False)

    def file(self, path: Path) -> None:
        """Keep a file with the run."""
        import mlflow

        mlflow.log_artifact(str(path), run_id=self.run_id)


def log_samples(sheet: Image, step: int) -> None:
    """Keep a picture with the run that is open, beside those of other steps."""
    import mlflow

    mlflow.log_image(sheet, key="samples", step=step)


@contextmanager
def tracking(stage: str, settings: Mapping[str, Any], folder: Path, uri: str | None = None) -> Iterator[Tracker]:
    """Follow a training of a stage in `folder` with an MLflow run of its own, or that of the one it goes on with.

    The store is `uri`, else the environment's MLFLOW_TRACKING_URI, else a database file in the working directory.
    Where a platform has opened a run already (MLFLOW_RUN_ID), the stage becomes its child. The run ends as FINISHED,
    as FAILED after an error, and as KILLED when it was asked to stop. The machine's load is logged beside the metrics.

    Raises:
        OFAError: the store cannot be used.
    """
    import mlflow
    from sqlalchemy.exc import SQLAlchemyError

    parent = os.environ.pop("MLFLOW_RUN_ID", None)
    place = uri or os.environ.get("MLFLOW_TRACKING_URI", DEFAULT_URI)
    mlflow.set_tracking_uri(place)
    try:
        mlflow.set_experiment(os.environ.get("MLFLOW_EXPERIMENT_NAME", EXPERIMENT))
    except (mlflow.MlflowException, SQLAlchemyError) as error:
        reason = str(error).splitlines()[0]
        raise OFAError(f"MLflow at {place} cannot be used: {reason}; set MLFLOW_TRACKING_URI to another") from error
    logging.getLogger("mlflow.system_metrics").setLevel(logging.WARNING)  # it would tell of every start and stop
    tracker = Tracker(partial(_open, stage, settings, folder / RUN_FILE, parent))
    status = "KILLED"
    try:
        yield tracker
        status = "FINISHED"
    except Exception:
        status = "FAILED"
        raise
    finally:
        if tracker.is_open:
            mlflow.flush_async_logging()
            mlflow.end_run(status=status)
        if parent:
            os.environ["MLFLOW_RUN_ID"] = parent


def _open(stage: str, settings: Mapping[str, Any], marker: Path, parent: str | None) -> str:
    """Open the run that `marker` names, or a new one; return its id."""
    import mlflow

    if marker.exists():
        known = marker.read_text(encoding="utf-8").strip()
        return mlflow.start_run(run_id=known, log_system_metrics=True).info.run_id
    run = mlflow.start_run(run_name=stage, parent_run_id=parent, log_system_metrics=True)
    with atomic_write(marker) as file:
        file.write(run.info.run_id)
    mlflow.set_tag("stage", stage)
    mlflow.log_params(_flat(settings))
    return run.info.run_id


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings as one level of dotted names."""
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        if dataclasses.is_dataclass(value):
            value = dataclasses.asdict(value)
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat
