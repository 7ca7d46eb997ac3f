"""MLflow's record of a training run: settings, curves, files."""

import dataclasses
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL.Image import Image

from ofa.data.files import atomic_write

DEFAULT_URI = "sqlite:///mlflow.db"
EXPERIMENT = "ofa"
RUN_FILE = "mlflow_run_id"
"""In the run's folder: the MLflow run that a resumed training goes on writing to."""


class Tracker:
    """Writes to one MLflow run. Made by `tracking`."""

    def __init__(self, run_id: str):
        self.run_id = run_id

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
    """Open the MLflow run of a stage, or the one that an interrupted training in `folder` began.

    The store is `uri`, else the environment's MLFLOW_TRACKING_URI, else a database file in the working directory.
    Where a platform has opened a run already (MLFLOW_RUN_ID), the stage becomes its child. The run ends as FINISHED,
    as FAILED after an error, and as KILLED when it was asked to stop. The machine's load is logged beside the metrics.
    """
    import mlflow

    parent = os.environ.pop("MLFLOW_RUN_ID", None)
    mlflow.set_tracking_uri(uri or os.environ.get("MLFLOW_TRACKING_URI", DEFAULT_URI))
    mlflow.set_experiment(os.environ.get("MLFLOW_EXPERIMENT_NAME", EXPERIMENT))
    marker = folder / RUN_FILE
    known = marker.read_text(encoding="utf-8").strip() if marker.exists() else None
    logging.getLogger("mlflow.system_metrics").setLevel(logging.WARNING)  # it would tell of every start and stop
    run = mlflow.start_run(
        run_id=known,
        run_name=None if known else stage,
        parent_run_id=None if known else parent,
        log_system_metrics=True,
    )
    status = "KILLED"
    try:
        if not known:
            with atomic_write(marker) as file:
                file.write(run.info.run_id)
            mlflow.set_tag("stage", stage)
            mlflow.log_params(_flat(settings))
        yield Tracker(run.info.run_id)
        status = "FINISHED"
    except Exception:
        status = "FAILED"
        raise
    finally:
        mlflow.flush_async_logging()
        mlflow.end_run(status=status)
        if parent:
            os.environ["MLFLOW_RUN_ID"] = parent


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
