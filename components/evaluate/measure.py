"""How predictions are judged: by the score of their task, unless `measures` knows better."""

import dataclasses
import statistics
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from components.evaluate.judges import Judges
from ofa.tasks import Prediction, Task
from ofa.tasks.boxes import Box

Row = dict[str, Any]
"""A line of `predictions.jsonl`: uniq_id, image_id, row, prompt, prediction, score, seconds, references, and what
`Measure.truth` adds."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What a set of predictions scored."""

    scores: dict[str, float]
    """Of the set, by metric."""
    rows: list[dict[str, float]]
    """Of each row, by metric; the mean of the primary one over all rows is its score of the set."""
    metric: str
    """The primary metric."""
    histograms: dict[str, list[int]] = field(default_factory=dict)
    """Counts in ten equal bins from 0 to 1."""
    skipped: dict[str, str] = field(default_factory=dict)
    """Metrics that could not be computed, and why."""
    notes: tuple[str, ...] = ()
    """What a reader of the scores should know."""


class Measure:
    """Judges any task by its own `score`.

    Args:
        task: an instance of it.
        skip: metrics to leave out.
        checkpoint: the network whose predictions are judged.
        judges: what outputs are judged with besides the table's truth.
        tables: files of the evaluated table.
        device: where they compute: auto, cpu, cuda:0 ...
    """

    repeats = False
    """Rows may share an id: they are one prediction, held against the references of all of them."""
    losses = False
    """Predictions also need the `loss` of their sample's true target."""

    def __init__(
        self,
        task: Task,
        skip: Collection[str] = (),
        checkpoint: str = "",
        judges: Judges | None = None,
        tables: Sequence[str | Path] = (),
        device: str = "auto",
    ):
        self.task, self.skip, self.tables = task, frozenset(skip), tuple(tables)
        self.checkpoint, self.judges, self.device = checkpoint, judges or Judges(), device

    def identity(self) -> dict[str, str]:
        """What predictions depend on besides network, table, settings and code; empty for most tasks."""
        return {}

    def equip(self, device: torch.device) -> None:
        """Give the task what it predicts with besides the network, in the process that predicts on `device`."""

    def key(self, row: Mapping[str, Any]) -> str:
        """The id under which a table row is evaluated; empty where rows have none."""
        return row.get("uniq_id", "")

    def truth(self, row: Mapping[str, str], reference: Any) -> dict[str, Any]:
        """What a row's prediction is held against, as JSON values: `references`, and what the slices need.

        Args:
            row: the table row without its picture.
            reference: the reference of the task's sample.

        Raises:
            OFAError: the row holds no truth.
        """
        return {"references": plain(reference)}

    def together(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """What the truth of rows that share an id has in place of the first one's."""
        return {}

    def complete(self, rows: Sequence[Row]) -> list[Row]:
        """The predictions with what is known about their rows besides the table."""
        return list(rows)

    def measure(self, rows: Sequence[Row], out: Path | None = None) -> Measured:
        """Score predictions.

        Args:
            rows: the predictions.
            out: folder of the evaluation, for files of the task's own beside the predictions; None writes none.
        """
        pairs = [(Prediction(r["uniq_id"], r["prediction"], r["score"]), r["references"]) for r in rows]
        scores = self.task.score([p for p, _ in pairs], [r for _, r in pairs])
        alone = [self.task.score([prediction], [reference]) for prediction, reference in pairs]
        # Only scores that are means over rows have a value for each row; a correlation, say, has none.
        means = {
            name: value
            for name, value in scores.items()
            if abs(statistics.fmean(row[name] for row in alone) - value) < 1e-6 * max(1.0, abs(value))
        }
        values = [{name: row[name] for name in means} for row in alone]
        if not means:
            values = [{"exact_match": float(r["prediction"] == r["references"])} for r in rows]
            means = {"exact_match": statistics.fmean(row["exact_match"] for row in values)}
            scores = {**scores, **means}
        return Measured(scores=scores, rows=values, metric=next(iter(means)))

    def slices(self, row: Row) -> dict[str, str]:
        """Name and value of each property by which results are broken down."""
        return {}


def plain(value: Any) -> Any:
    """A prediction or reference as JSON values: a box is its corners, with its label if it has one."""
    if isinstance(value, Box):
        return {"label": value.label, "box": list(value.xyxy)} if value.label else list(value.xyxy)
    if dataclasses.is_dataclass(value):
        return {key: plain(part) for key, part in dataclasses.asdict(value).items()}
    if isinstance(value, Mapping):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple | set | np.ndarray):
        return [plain(part) for part in value]
    if isinstance(value, np.generic):
        return value.item()
    return value
