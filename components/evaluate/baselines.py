"""Scores of predictors that do not look: what a model must beat for its score to mean anything.

They learn from the training table and are scored on the evaluated rows, by the same measure.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.evaluate.measure import Measure, Row
from components.evaluate.measures import CaptionMeasure, GroundingMeasure, RegionCaptionMeasure, VqaMeasure
from components.evaluate.pretraining import VisionLanguageMeasure
from components.evaluate.question_types import QuestionTypes
from components.evaluate.record import load_json
from ofa.data import RowError, Table
from ofa.data.images import ImageError
from ofa.data.images import measure as picture_size
from ofa.data.schema import TABLES
from ofa.errors import OFAError
from ofa.metrics import grounding
from ofa.progress import track
from ofa.tasks.vision_language import NO_YES
from ofa.tasks.vqa import parse_answers
from ofa.text.cleaning import pre_caption

Scores = dict[str, dict[str, float]]

SAMPLE = 20_000
"""Training rows that statistics are taken from."""
CANDIDATES = 2_000
"""Training boxes that are tried as the constant box."""


def baselines(
    measure: Measure, rows: Sequence[Row], train_table: str | Sequence[str], objects: str | None = None
) -> Scores:
    """Scores of the trivial predictors of a task by their names; empty for a task that has none.

    Args:
        measure: how the task is judged.
        rows: the evaluated rows.
        train_table: file of the training table, or its shards.
        objects: COCO instances file or detection table with the objects of the evaluated pictures.
    """
    task = measure.task
    make = _BASELINES.get(type(measure))
    if make is None:
        return {}
    paths = [train_table] if isinstance(train_table, str) else list(train_table)
    return make(measure, rows, Table(paths, task.columns or TABLES[task.table]), objects)


def _caption(measure: Measure, rows: Sequence[Row], train: Table, objects: str | None) -> Scores:
    captions = [text.strip() for row in _sample(train) for text in row["caption"].split("&&")]
    usual = _most_frequent(captions)
    quick = CaptionMeasure(measure.task, {*measure.skip, "METEOR"})  # which would start its program a second time
    return {"most_frequent_caption": _constant(quick, rows, lambda _: usual)}


def _refcoco(measure: Measure, rows: Sequence[Row], train: Table, objects: str | None) -> Scores:
    box = best_constant_box(np.array([box for row in _sample(train) for box in _relative(row, row["box"])]))
    found = {"constant_box": _constant(measure, rows, lambda row: _in_pixels(box, row))}
    if objects is not None:
        found["random_object"] = random_object(rows, read_objects(objects))
    return found


def _relative(row: Mapping[str, Any], box: str) -> list[NDArray]:
    """(4,) a box as tables hold it, relative to the sides of the row's picture; none where that cannot be read."""
    try:
        width, height = picture_size(row["image"])
    except ImageError:
        return []
    return [np.array([float(part) for part in box.split(",")]) / (width, height, width, height)]


def _in_pixels(box: NDArray, row: Row) -> list[float]:
    return (box * np.tile(row["size"], 2)).tolist()


def best_constant_box(boxes: NDArray, seed: int = 0) -> NDArray:
    """(4,) the box, among up to `CANDIDATES` of the given ones, that most of them overlap by at least half.

    Args:
        boxes: (N, 4) boxes relative to the sides of their pictures.
        seed: of the choice of candidates.
    """
    boxes = boxes * 1000  # the measure enlarges each union by 1e-6, which must be next to nothing
    candidates = boxes
    if len(boxes) > CANDIDATES:
        candidates = boxes[np.random.default_rng(seed).choice(len(boxes), CANDIDATES, replace=False)]
    values = [grounding.iou(np.broadcast_to(candidate, boxes.shape), boxes) for candidate in candidates]
    hits = [((value >= 0.5).mean(), value.mean()) for value in values]
    return candidates[max(range(len(hits)), key=hits.__getitem__)] / 1000


def random_object(rows: Sequence[Row], objects: Mapping[str, NDArray]) -> dict[str, float]:
    """Scores of naming one of the picture's objects at random: the exact expectation, so without any draw.

    A picture without known objects counts as missed.
    """
    values = []
    for row in rows:
        boxes = objects.get(picture_key(row["image_id"]), np.zeros((0, 4)))
        values.append(grounding.iou(boxes, np.broadcast_to(row["references"][0], boxes.shape)))
    scores = {
        f"Acc@{threshold}": float(np.mean([(v >= threshold).mean() if len(v) else 0.0 for v in values]))
        for threshold in grounding.THRESHOLDS
    }
    return scores | {"mean_IoU": float(np.mean([v.mean() if len(v) else 0.0 for v in values]))}


def read_objects(path: str) -> dict[str, NDArray]:
    """(N, 4) boxes x0, y0, x1, y1 of each picture, from a COCO instances file (.json) or a detection table."""
    found: dict[str, list[list[float]]] = {}
    if Path(path).suffix == ".json":
        for annotation in load_json(Path(path), "a COCO instances file").get("annotations", []):
            x, y, width, height = annotation["bbox"]
            found.setdefault(picture_key(annotation["image_id"]), []).append([x, y, x + width, y + height])
    else:
        for row in Table(path, TABLES["detection"]):
            boxes = [[float(part) for part in box.split(",")[:4]] for box in row["boxes"].split("&&") if box]
            found[picture_key(row["uniq_id"])] = boxes
    return {name: np.array(boxes, dtype=np.float64).reshape(-1, 4) for name, boxes in found.items()}


def picture_key(image_id: Any) -> str:
    """An id as COCO counts: "COCO_train2014_000000000123.jpg" and 123 are one picture."""
    stem = str(image_id).rsplit(".", 1)[0]
    digits = stem[len(stem.rstrip("0123456789")) :]
    return digits.lstrip("0") or digits or stem


def _vqa(measure: Measure, rows: Sequence[Row], train: Table, objects: str | None) -> Scores:
    types = QuestionTypes(train.paths)
    by_type: dict[str, Counter] = {}
    everything: Counter = Counter()
    for row in _sample(train):
        confidences = parse_answers(row["answers"])
        if confidences:
            answer = max(confidences, key=confidences.get)
            kind = types.of(row["uniq_id"], row["question"], confidences)["question_type"]
            by_type.setdefault(kind, Counter())[answer] += 1
            everything[answer] += 1
    usual = _most_frequent(everything)
    best = {kind: _most_frequent(answers) for kind, answers in by_type.items()}
    return {
        "most_frequent_answer": _constant(measure, rows, lambda _: usual),
        "most_frequent_answer_per_question_type": _constant(
            measure, rows, lambda row: best.get(row["question_type"], usual)
        ),
    }


def _region_caption(measure: Measure, rows: Sequence[Row], train: Table, objects: str | None) -> Scores:
    usual = _most_frequent([row["text"] for row in _sample(train)])
    return {"most_frequent_expression": _constant(measure, rows, lambda _: usual)}


def _vision_language(measure: Measure, rows: Sequence[Row], train: Table, objects: str | None) -> Scores:
    settings = measure.task.settings
    texts: dict[str, Counter] = {"matching": Counter([NO_YES[settings.language][False]])}
    boxes = [np.zeros(4)]
    for row in _sample(train):
        if row["type"] == "qa":
            kind, confidences = "qa", parse_answers(row["answers"])
            text = max(confidences, key=confidences.get, default="")
        else:
            kind = "caption" if row["type"] == "caption" else "region_caption"
            text = pre_caption(row["caption"], settings.max_tgt_length)
        texts.setdefault(kind, Counter())[text] += 1
        if row["type"] == "visual_grounding":
            boxes += _relative(row, row["answers"])
    usual = {kind: _most_frequent(counts) for kind, counts in texts.items()}
    box = best_constant_box(np.array(boxes))

    def answer(row: Row) -> Any:
        return _in_pixels(box, row) if row["kind"] == "grounding" else usual.get(row["kind"], "")

    return {"most_frequent_answer_per_sort": _constant(measure, rows, answer)}


def _constant(measure: Measure, rows: Sequence[Row], predict: Callable[[Row], Any]) -> dict[str, float]:
    """Scores of a predictor, which has no loss."""
    return measure.measure([row | {"prediction": predict(row), "score": 0.0, "loss": None} for row in rows]).scores


def _most_frequent(values: Sequence[str] | Counter) -> str:
    """The most frequent value; of equally frequent ones the first in the alphabet, whatever the order of the rows."""
    counts = values if isinstance(values, Counter) else Counter(values)
    if not counts:
        raise OFAError("the training table is empty: trivial baselines have nothing to learn from")
    return min(counts, key=lambda value: (-counts[value], value))


def _sample(train: Table) -> Iterator[Mapping[str, Any]]:
    """Up to `SAMPLE` readable rows, in the table's order; drawn, since every third, say, may be of one sort."""
    numbers = sorted(random.Random(0).sample(range(len(train)), min(SAMPLE, len(train))))
    for number in track(numbers, label="baselines", unit="row"):
        try:
            yield train[number]
        except RowError:  # validation reports those
            continue


_BASELINES = {
    CaptionMeasure: _caption,
    GroundingMeasure: _refcoco,
    RegionCaptionMeasure: _region_caption,
    VisionLanguageMeasure: _vision_language,
    VqaMeasure: _vqa,
}
