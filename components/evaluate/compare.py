"""Two evaluations of the same rows side by side: is one model better, and on what?"""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.evaluate.bootstrap import RESAMPLES, Estimate, bootstrap
from components.evaluate.record import Evaluation, load, load_predictions
from ofa.errors import OFAError
from ofa.files import atomic_write

_SHOWN = ("uniq_id", "image_id", "row", "prompt", "text", "region", "references")


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Challenger `b` against `a` on the same rows; positive differences are better."""

    task: str
    first: str
    """Folder and checkpoint of `a`."""
    second: str
    """Folder and checkpoint of `b`."""
    changed: list[str]
    """Settings of task and search that differ, each with both values."""
    metric: str
    a: float
    """Score of the first."""
    b: float
    """Score of the second."""
    difference: Estimate
    """b - a, row by row."""
    confidence: float
    """Of its interval."""
    wins: int
    """Rows on which b is better."""
    losses: int
    """Rows on which a is better."""
    ties: int
    best: list[dict[str, Any]]
    """Rows on which b gains most: uniq_id, prompt, references, both predictions and both values."""
    worst: list[dict[str, Any]]
    """Rows on which b loses most."""

    @property
    def verdict(self) -> str:
        """In words."""
        if self.difference.low > 0:
            return "the second is better"
        return "the first is better" if self.difference.high < 0 else "no difference is certain"

    def save(self, path: str | Path) -> None:
        with atomic_write(path) as file:
            json.dump(dataclasses.asdict(self) | {"verdict": self.verdict}, file, indent=2, ensure_ascii=False)
            file.write("\n")


def compare(
    a: str,
    b: str,
    metric: str | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
    confidence: float = 0.95,
    examples: int = 12,
) -> Comparison:
    """Compare two evaluation folders.

    Args:
        a, b: folders that `ofa evaluate run` wrote.
        metric: a metric that rows have; None takes the primary one.
        resamples, seed, confidence: of the bootstrap.
        examples: rows to keep of the largest gains and of the largest losses.

    Raises:
        OFAError: the evaluations are of different tasks, data or rows, or rows lack the metric.
    """
    first, second = load(a), load(b)
    refuse_different_data(first, second, a, b)
    metric = metric or second.metric
    old, new = ({row["uniq_id"]: row for row in load_predictions(folder)} for folder in (a, b))
    if old.keys() != new.keys():
        extra = sorted(old.keys() ^ new.keys())
        raise OFAError(f"{a} and {b} hold different rows ({len(extra)}, the first is {extra[0]!r}); evaluate again")
    pairs = sorted(
        (_value(new[name], metric, b) - _value(old[name], metric, a), position, name)
        for position, name in enumerate(old)
    )
    by_row = sorted(pairs, key=lambda pair: pair[1])
    changes = [change for change, _, _ in by_row]
    pictures = [old[name]["image_id"] for _, _, name in by_row]

    def show(name: str) -> dict[str, Any]:
        kept = {key: new[name][key] for key in _SHOWN if key in new[name]}
        sides = {
            side: {"prediction": rows[name]["prediction"], "value": rows[name]["measures"][metric]}
            for side, rows in (("a", old), ("b", new))
        }
        return kept | sides

    return Comparison(
        task=second.task,
        first=_origin(first, a),
        second=_origin(second, b),
        changed=_changes(first, second),
        metric=metric,
        a=sum(row["measures"][metric] for row in old.values()) / len(old),
        b=sum(row["measures"][metric] for row in new.values()) / len(new),
        difference=bootstrap(changes, pictures, resamples, seed, confidence),
        confidence=confidence,
        wins=sum(change > 0 for change in changes),
        losses=sum(change < 0 for change in changes),
        ties=sum(change == 0 for change in changes),
        best=[show(name) for change, _, name in pairs[::-1][:examples] if change > 0],
        worst=[show(name) for change, _, name in pairs[:examples] if change < 0],
    )


def refuse_different_data(first: Evaluation, second: Evaluation, a: str, b: str) -> None:
    """Raises OFAError unless both evaluations are of one task on the same data."""
    if first.task != second.task:
        raise OFAError(f"{a} evaluates {first.task} and {b} {second.task}: only one task can be compared with itself")
    if first.lineage.table_sha256 != second.lineage.table_sha256:
        raise OFAError(
            f"{first.task}: {a} and {b} were evaluated on different data (sha256 {first.lineage.table_sha256[:12]} and "
            f"{second.lineage.table_sha256[:12]}); evaluate both on the same table"
        )


def _origin(evaluation: Evaluation, folder: str) -> str:
    return f"{folder}, {evaluation.lineage.checkpoint} ({evaluation.lineage.checkpoint_sha256[:12]})"


def _changes(first: Evaluation, second: Evaluation) -> list[str]:
    ours, theirs = (e.lineage.settings | e.lineage.search for e in (first, second))
    names = [name for name in ours | theirs if ours.get(name) != theirs.get(name)]
    return [f"{name} {ours.get(name)} → {theirs.get(name)}" for name in names]


def _value(row: dict[str, Any], metric: str, folder: str) -> float:
    if metric not in row["measures"]:
        raise OFAError(f"{folder}: rows have no {metric!r}; they have {', '.join(row['measures'])}")
    return row["measures"][metric]
