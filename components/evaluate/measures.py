"""How the predictions of each task are judged: the truth of a row, the metrics, the slices.

A task without an entry here is judged by its own `Task.score`.
"""

import dataclasses
import statistics
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from components.evaluate.question_types import answer_type, question_type
from ofa.errors import OFAError, nearest
from ofa.metrics import caption, grounding
from ofa.metrics.vqa import normalize_answer
from ofa.tasks import Prediction, Task
from ofa.tasks.boxes import Box
from ofa.tasks.caption import Caption
from ofa.tasks.refcoco import Refcoco
from ofa.tasks.vqa import Vqa
from ofa.text.cleaning import spaced

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


ENGLISH_METRICS = ("METEOR", "SPICE")
"""Caption metrics that know English words and sentences only."""


class Measure:
    """Judges any task by its own `score`."""

    repeats = False
    """Rows may share an id: they are one prediction, held against the references of all of them."""

    def __init__(self, task: Task, skip: Collection[str] = ()):
        self.task, self.skip = task, frozenset(skip)

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

    def measure(self, rows: Sequence[Row]) -> Measured:
        """Score predictions."""
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


class CaptionMeasure(Measure):
    """COCO's caption metrics, one prediction a picture; references are taken as they stand in the table."""

    repeats = True

    def key(self, row: Mapping[str, Any]) -> str:
        return row["image_id"]

    def truth(self, row: Mapping[str, str], reference: Any) -> dict[str, Any]:
        references = [part.strip() for part in row["caption"].split("&&") if part.strip()]
        if not references:
            raise OFAError("the row has no reference caption")
        objects = [name for name in row.get("objects", "").split("&&") if name.strip()]
        return {"references": references, "objects": len(objects)}

    def together(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        return {"references": [text for row in rows for text in self.truth(row, None)["references"]]}

    def measure(self, rows: Sequence[Row]) -> Measured:
        no_chinese = dict.fromkeys(ENGLISH_METRICS, "it knows no Chinese") if self._chinese else {}
        wanted = [name for name in caption.METRICS if name not in self.skip and name not in no_chinese]
        found = caption.score(
            {row["uniq_id"]: row["prediction"] for row in rows},
            {row["uniq_id"]: row["references"] for row in rows},
            wanted,
        )
        values = [found.per_image[row["uniq_id"]] for row in rows]
        return Measured(scores=found.overall, rows=values, metric="CIDEr", skipped=found.skipped | no_chinese)

    def slices(self, row: Row) -> dict[str, str]:
        unit = "characters" if self._chinese else "words"
        words = statistics.fmean(len(spaced(reference).split()) for reference in row["references"])
        length = f"1-8 {unit}" if words <= 8 else f"9-12 {unit}" if words <= 12 else f"13+ {unit}"
        objects = {"objects": str(row["objects"]) if row["objects"] < 5 else "5+"} if row.get("objects") else {}
        return {"reference length": length} | objects

    @property
    def _chinese(self) -> bool:
        return self.task.settings.language == "chinese"


class GroundingMeasure(Measure):
    """Acc@0.5 and its relatives."""

    def truth(self, row: Mapping[str, str], reference: Any) -> dict[str, Any]:
        if reference.box is None:
            raise OFAError("the row has no box")
        return {"references": [list(reference.box)], "size": list(reference.size), "text": reference.text}

    def measure(self, rows: Sequence[Row]) -> Measured:
        boxes = [row["prediction"] for row in rows]
        truth = [row["references"][0] for row in rows]
        found = grounding.report(boxes, truth, [row["size"] for row in rows], [row["text"] for row in rows])
        return Measured(
            scores={f"Acc@{threshold}": value for threshold, value in found.accuracy.items()}
            | {"mean_IoU": found.mean_iou},
            rows=[{"Acc@0.5": float(v >= 0.5), "IoU": float(v)} for v in grounding.iou(boxes, truth)],
            metric="Acc@0.5",
            histograms={"IoU": list(found.histogram)},
        )

    def slices(self, row: Row) -> dict[str, str]:
        x0, y0, x1, y1 = row["references"][0]
        width, height = row["size"]
        low, high = grounding.SIZES[_class((x1 - x0) * (y1 - y0) / (width * height), grounding.SIZES)]
        return {
            "box size": f"{100 * low:g}-{100 * min(1.0, high):g} % of the picture",
            "words in the expression": _class(len(spaced(row["text"]).split()), grounding.LENGTHS),
        }


class VqaMeasure(Measure):
    """VQA v2's official accuracy, over all and by type of answer.

    It is min(1, 0.3 x people who gave the answer), which is what the table stores.
    """

    def truth(self, row: Mapping[str, str], reference: Any) -> dict[str, Any]:
        if not reference:
            raise OFAError("the row has no answers")
        return {
            "references": dict(reference),
            "question_type": question_type(row["question"]),
            "answer_type": answer_type(reference),
        }

    def measure(self, rows: Sequence[Row]) -> Measured:
        values = [_confidence(row["references"], normalize_answer(row["prediction"])) for row in rows]
        by_type = {
            name: [value for value, row in zip(values, rows, strict=True) if row["answer_type"] == name]
            for name in ("yes/no", "number", "other")
        }
        return Measured(
            scores={"accuracy": statistics.fmean(values)}
            | {name: statistics.fmean(part) for name, part in by_type.items() if part},
            rows=[{"accuracy": value} for value in values],
            metric="accuracy",
        )

    def slices(self, row: Row) -> dict[str, str]:
        return {"answer type": row["answer_type"], "question type": row["question_type"]}


def measure_for(task: Task, skip: Collection[str] = ()) -> Measure:
    """The measure of a task.

    Args:
        task: an instance of it.
        skip: metrics to leave out, such as METEOR, which takes a minute for 5,000 captions.
    """
    for name in skip:
        if name not in caption.METRICS:
            known = list(caption.METRICS)
            raise OFAError(f"no metric '{name}' to leave out{nearest(name, known)} (there are: {', '.join(known)})")
    return next((made for kind, made in _MEASURES.items() if isinstance(task, kind)), Measure)(task, skip)


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


def _confidence(answers: Mapping[str, float], wanted: str) -> float:
    """Of an answer, whose spellings count together."""
    return min(1.0, sum(value for answer, value in answers.items() if normalize_answer(answer) == wanted))


def _class(value: float, classes: Mapping[str, tuple[float, float]]) -> str:
    return next(name for name, (low, high) in classes.items() if low <= value < high)


_MEASURES: dict[type[Task], type[Measure]] = {Caption: CaptionMeasure, Refcoco: GroundingMeasure, Vqa: VqaMeasure}
