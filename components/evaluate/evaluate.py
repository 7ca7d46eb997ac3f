"""The evaluation step: a checkpoint over a table, with scores, trivial baselines, uncertainty and lineage."""

import dataclasses
import functools
import json
import math
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from components import lineage
from components.code import code_hash
from components.evaluate.baselines import baselines
from components.evaluate.bootstrap import bootstrap
from components.evaluate.judges import Judges
from components.evaluate.measure import Measured, Row
from components.evaluate.measures import measure_for
from components.evaluate.predict import Job, latency, predict
from components.evaluate.record import PREDICTIONS, Evaluation, Lineage, Slice, Speed
from components.tables import folder_of, negatives
from ofa import tasks
from ofa.errors import OFAError
from ofa.files import atomic_write
from ofa.tasks.store import settings_of
from ofa.tasks.vision_language import VisionLanguage

RUN, REJECTED = "run.json", "rejected.jsonl"


def evaluate(
    task: str,
    checkpoint: str,
    table: str | Sequence[str],
    out: str,
    *,
    settings: Mapping[str, Any] | None = None,
    search: Mapping[str, Any] | None = None,
    train_table: str | Sequence[str] | None = None,
    objects: str | None = None,
    metrics: str | None = None,
    skip: Sequence[str] = (),
    batch_size: int = 16,
    processes: int = 1,
    workers: int = 0,
    device: str = "auto",
    limit: int | None = None,
    max_bad_rows: int = 0,
    latency_samples: int = 20,
    resamples: int = 10_000,
    seed: int = 0,
    params: str | None = "params.yaml",
    judges: Judges | None = None,
) -> Evaluation:
    """Evaluate a checkpoint on a table.

    Predictions are appended to `out`/predictions.jsonl as they are made. When the same evaluation is started again,
    only the rows that are missing are predicted; another checkpoint, table, setting or code starts anew.

    Args:
        task: its name, as `ofa.tasks.get` knows it.
        checkpoint: folder of ours or `.pt` of the original.
        table: file of the evaluation table, or its shards.
        out: folder for evaluation.json, predictions.jsonl, rejected.jsonl, and what a task has besides: results.json in
            COCO's format for captions, the painted pictures.
        settings: changes to the task's settings, for example {"patch_image_size": 384}.
        search: changes to the task's own search (the original's), for example {"beam": 1}.
        train_table: the table that trivial baselines learn from; None leaves them out.
        objects: COCO instances file or detection table of the evaluated pictures, for the baseline of a random object.
        metrics: file for the bare numbers, as `dvc metrics` reads them.
        skip: metrics to leave out, for example ["METEOR"].
        batch_size: rows predicted together.
        processes: predicting processes.
        workers: picture-reading processes for each of them; 0 reads in the predicting process.
        device: "auto", "cpu", "cuda:0" ...
        limit: evaluate the first rows only.
        max_bad_rows: unreadable rows that are reported and left out; one more stops the run.
        latency_samples: samples that are timed alone.
        resamples: of the bootstrap of the confidence interval.
        seed: of the bootstrap.
        params: params file whose hash is recorded; None or a missing file records none.
        judges: what painted pictures are judged with.

    Raises:
        OFAError: the input cannot be used.
    """
    paths = [table] if isinstance(table, str) else list(table)
    job = Job(
        task=task,
        checkpoint=checkpoint,
        table=tuple(paths),
        settings=_matching(task, checkpoint, paths[0], settings or {}),
        search=dict(search or {}),
        batch_size=batch_size,
        workers=workers,
        device=device,
        max_bad_rows=max_bad_rows,
        judges=judges or Judges(),
    )
    instance = job.make_task()
    measure = measure_for(instance, skip, checkpoint, judges, paths, device)
    data = job.open_table(instance)
    sha256, size = lineage.checkpoint_hash(checkpoint)
    origin = Lineage(
        checkpoint=str(checkpoint),
        checkpoint_sha256=sha256,
        checkpoint_bytes=size,
        table=[str(path) for path in paths],
        table_sha256=lineage.table_hash(paths),
        table_dvc=lineage.dvc_hash(paths[0]),
        git_commit=lineage.git_commit(),
        params_sha256=lineage.params_hash(params),
        settings=_plain(dataclasses.asdict(instance.settings)),
        search=_plain(dataclasses.asdict(job.make_search(instance))),
        versions=lineage.versions(),
        data=lineage.data_origin(paths[0]),
        training=lineage.read_origin(checkpoint),
    )
    # Scores are computed of all predictions each time, so that metrics do not count.
    code = code_hash(predict.__module__, type(instance).__module__, without=["ofa.metrics"])
    _start_or_continue(Path(out), origin, task, limit, code, measure.identity())
    network = functools.cache(job.load)
    rows, rejected, _ = predict(job, Path(out) / PREDICTIONS, processes, limit, network)
    if not rows:
        raise OFAError(f"{', '.join(paths)}: no row could be evaluated")
    rows = measure.complete(rows)
    measured = measure.measure(rows, Path(out))
    trivial = baselines(measure, rows, train_table, objects) if train_table else {}
    times = latency(job, instance, network(), data, latency_samples)
    values = [row[measured.metric] for row in measured.rows]
    interval = bootstrap(values, [row["image_id"] for row in rows], resamples, seed)
    seconds = sum(row["seconds"] for row in rows) / processes
    result = Evaluation(
        task=task,
        metric=measured.metric,
        scores=measured.scores,
        interval=(interval.low, interval.high),
        baseline=trivial,
        rows=len(rows),
        bad_rows=len(rejected),
        speed=Speed(
            seconds=seconds,
            samples_per_second=len(rows) / seconds,
            latency_ms_p50=float(np.percentile(times, 50)),
            latency_ms_p95=float(np.percentile(times, 95)),
        ),
        lineage=origin,
        slices=_slices([measure.slices(row) for row in rows], values),
        histograms=measured.histograms,
        skipped=measured.skipped,
        notes=list(measured.notes),
    )
    _save(Path(out), result, rows, rejected, measured)
    if metrics:
        _save_numbers(Path(metrics), result)
    return result


def _matching(task: str, checkpoint: str, table: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings; a task that says whether a text is true of a picture is also asked that, of wrong texts that lie
    beside the table."""
    if not issubclass(tasks.get(task), VisionLanguage) or settings.get("negatives"):
        return dict(settings)
    instance = tasks.create(task, settings_of(checkpoint, task) | dict(settings))
    if not instance.settings.matching_ratio:
        return dict(settings)
    return {"evaluate_matching": True, "negatives": negatives(folder_of(table), instance.settings.language), **settings}


def _start_or_continue(
    out: Path, origin: Lineage, task: str, limit: int | None, code: str, further: Mapping[str, str]
) -> None:
    """Make `out` ready; predictions of anything but the same evaluation are removed."""
    identity = {
        "task": task,
        "checkpoint": origin.checkpoint_sha256,
        "table": origin.table_sha256,
        "settings": origin.settings,
        "search": origin.search,
        "limit": limit,
        "code": code,
        **further,
    }
    if out.exists() and any(out.iterdir()):
        try:
            known = json.loads((out / RUN).read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise OFAError(f"{out}: exists and is no evaluation; name another folder or remove it") from None
        if known == identity:
            return
        shutil.rmtree(out)
    with atomic_write(out / RUN) as file:
        json.dump(identity, file)


def _slices(properties: Sequence[Mapping[str, str]], values: Sequence[float]) -> dict[str, dict[str, Slice]]:
    groups: dict[str, dict[str, list[float]]] = {}
    for row, value in zip(properties, values, strict=True):
        for name, label in row.items():
            groups.setdefault(name, {}).setdefault(label, []).append(value)
    return {
        name: {label: Slice(rows=len(v), score=sum(v) / len(v)) for label, v in sorted(labels.items(), key=_order)}
        for name, labels in groups.items()
    }


def _order(item: tuple[str, Any]) -> tuple[float, str]:
    """Sorts labels by the number that they begin with, then by name."""
    number = re.match(r"\d+", item[0])
    return float(number[0]) if number else math.inf, item[0]


def _save(out: Path, result: Evaluation, rows: Sequence[Row], rejected: Sequence[Row], measured: Measured) -> None:
    with atomic_write(out / PREDICTIONS) as file:
        for row, values in zip(rows, measured.rows, strict=True):
            file.write(json.dumps(row | {"measures": values}, ensure_ascii=False) + "\n")
    with atomic_write(out / REJECTED) as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rejected)
    result.save(out)


def _save_numbers(path: Path, result: Evaluation) -> None:
    numbers = {
        **result.scores,
        "interval": dict(zip(("low", "high"), result.interval, strict=True)),
        "baseline": result.baseline,
        "slices": {
            name: {label: part.score for label, part in labels.items()} for name, labels in result.slices.items()
        },
        "rows": result.rows,
        "bad_rows": result.bad_rows,
    }
    with atomic_write(path) as file:
        json.dump(numbers, file, indent=2)
        file.write("\n")


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """As JSON keeps it, so that what was written compares equal with what is read."""
    return json.loads(json.dumps(values))
