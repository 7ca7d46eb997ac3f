"""What an evaluation leaves behind: `evaluation.json` (numbers and lineage) and `predictions.jsonl` (row by row).

Report, comparison, gate and registry read these two files and nothing else.
"""

import dataclasses
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ofa.errors import OFAError
from ofa.files import atomic_write
from ofa.settings import build

RECORD = "evaluation.json"
PREDICTIONS = "predictions.jsonl"


@dataclass(frozen=True, kw_only=True)
class Slice:
    """Rows that have something in common."""

    rows: int
    score: float
    """Mean of the primary metric over these rows."""


@dataclass(frozen=True, kw_only=True)
class Lineage:
    """What the numbers were made from: enough to make them again."""

    checkpoint: str
    """Path of the checkpoint as it was given."""
    checkpoint_sha256: str
    checkpoint_bytes: int
    table: list[str]
    """Paths of the table's files as they were given."""
    table_sha256: str
    """Identifies the evaluation data: results with different values are not compared."""
    table_dvc: str | None
    """Hash by which dvc.lock knows the table, or the folder that it is in; None when it does not."""
    git_commit: str | None
    """Commit of the code, with "-dirty" when files differed from it; None outside a repository."""
    params_sha256: str | None
    """Of the parsed params file, so that comments and order do not matter; None when none was given."""
    settings: dict[str, Any]
    """Settings of the task, for example the size of pictures."""
    search: dict[str, Any]
    """Settings of the search."""
    versions: dict[str, str]
    """Versions of the packages that compute."""
    data: dict[str, Any] = field(default_factory=dict)
    """Where the rows come from: source, version and, out of a git repository, commit; empty for a table alone."""
    training: dict[str, str] = field(default_factory=dict)
    """What the checkpoint was trained from (`components.lineage.training_origin`); empty where its folder has no word
    of it."""


@dataclass(frozen=True, kw_only=True)
class Speed:
    """How long it took."""

    seconds: float
    """Prediction time of all rows, over the runs that it took."""
    samples_per_second: float
    latency_ms_p50: float
    """Median time of one sample alone, from row to prediction."""
    latency_ms_p95: float


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """One checkpoint on one table."""

    task: str
    metric: str
    """The primary metric: each row has its value in `measures`, and the score is the mean over rows."""
    scores: dict[str, float]
    """By metric name, in the field's own names and scales."""
    interval: tuple[float, float]
    """95 % bootstrap confidence interval of the primary metric."""
    baseline: dict[str, dict[str, float]]
    """Scores of trivial predictors on the same rows."""
    rows: int
    """Rows scored."""
    bad_rows: int
    """Rows that could not be read and are left out of the scores."""
    speed: Speed
    lineage: Lineage
    slices: dict[str, dict[str, Slice]] = field(default_factory=dict)
    """Primary metric by property and its value, for example "box size" -> "small"."""
    histograms: dict[str, list[int]] = field(default_factory=dict)
    """Counts in ten equal bins from 0 to 1, for example of IoU."""
    skipped: dict[str, str] = field(default_factory=dict)
    """Metrics that could not be computed, and why."""
    notes: list[str] = field(default_factory=list)
    """What a reader of the scores should know."""

    @property
    def score(self) -> float:
        return self.scores[self.metric]

    @property
    def bad_row_rate(self) -> float:
        return self.bad_rows / max(1, self.rows + self.bad_rows)

    @property
    def best_baseline(self) -> float | None:
        """The highest primary metric that a trivial predictor reaches."""
        return max((scores[self.metric] for scores in self.baseline.values() if self.metric in scores), default=None)

    def save(self, folder: str | Path) -> None:
        with atomic_write(Path(folder) / RECORD) as file:
            json.dump(dataclasses.asdict(self), file, indent=2)
            file.write("\n")


def load(folder: str | Path) -> Evaluation:
    """The evaluation in `folder`.

    Raises:
        OFAError: there is none, or the file is not one.
    """
    path = Path(folder) / RECORD
    return build(Evaluation, load_json(path, "an evaluation folder, as `ofa evaluate run` makes it"), str(path))


def find(evaluations: str | Path | Sequence[str | Path]) -> dict[str, Path]:
    """Evaluation folders by task.

    Args:
        evaluations: the folder that holds them, or a list of them.

    Raises:
        OFAError: there is none, or there are two of one task.
    """
    if isinstance(evaluations, str | Path):
        folders = [path.parent for path in sorted(Path(evaluations).glob(f"*/{RECORD}"))]
        if not folders:
            raise OFAError(f"{evaluations}: no evaluation below this folder (expected <task>/{RECORD})")
    else:
        folders = [Path(folder) for folder in evaluations]
    found: dict[str, Path] = {}
    for folder in folders:
        task = load(folder).task
        if task in found:
            raise OFAError(f"{found[task]} and {folder} both evaluate {task}; keep one of them")
        found[task] = folder
    return found


def load_predictions(folder: str | Path) -> list[dict[str, Any]]:
    """The rows of `predictions.jsonl`, in the table's order."""
    return list(read_lines(Path(folder) / PREDICTIONS))


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a JSON-lines file. A last line without a line end was cut off by a kill and is left out."""
    try:
        with open(path, encoding="utf-8", newline="\n") as file:
            for number, line in enumerate(file, 1):
                if not line.endswith("\n"):
                    return
                try:
                    yield json.loads(line)
                except json.JSONDecodeError as error:
                    raise OFAError(
                        f"{path}, line {number}: not JSON ({error.msg}); delete the file and run again"
                    ) from None
    except FileNotFoundError:
        raise OFAError(f"{path}: no such file") from None


def load_json(path: Path, what: str) -> dict[str, Any]:
    """The object in a JSON file; errors say that `what` was expected."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise OFAError(f"{path}: no such file; expected {what}") from None
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise OFAError(f"{path}: not a JSON file; expected {what}") from None
    if not isinstance(content, dict):
        raise OFAError(f"{path}: expected {what}, found a JSON {type(content).__name__}")
    return content
