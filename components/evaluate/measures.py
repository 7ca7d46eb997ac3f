"""How the predictions of each task are judged: the truth of a row, the metrics, the slices.

A task without an entry here is judged by its own `Task.score`.
"""

import math
import statistics
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from components.evaluate.judges import Judges
from components.evaluate.measure import Measure, Measured, Row
from components.evaluate.paintings import PaintingMeasure
from components.evaluate.pretraining import DetectionMeasure, PretrainingMeasure, VisionLanguageMeasure
from components.evaluate.question_types import QuestionTypes
from ofa.errors import OFAError, nearest
from ofa.metrics import caption, grounding
from ofa.metrics.vqa import accuracy
from ofa.tasks import Task
from ofa.tasks.caption import Caption
from ofa.tasks.detection import Detection
from ofa.tasks.image_gen import ImageGen
from ofa.tasks.infilling import ImageInfilling, TextInfilling
from ofa.tasks.refcoco import Refcoco
from ofa.tasks.region_caption import RegionCaption
from ofa.tasks.vision_language import VisionLanguage
from ofa.tasks.vqa import Vqa
from ofa.text.cleaning import split_characters

COCO_RESULTS = "results.json"
"""File of an evaluation of captions, in the format of COCO's server."""
ENGLISH_METRICS = ("METEOR", "SPICE")
"""Caption metrics that know English words and sentences only."""
SIZES = {"0-5 % of the picture": 0.05, "5-20 % of the picture": 0.2, "20-100 % of the picture": math.inf}
"""Classes of boxes by their share of the picture's area (below)."""
LENGTHS = {"1-2": 3, "3-5": 6, "6-10": 11, "11+": math.inf}
"""Classes of expressions by number of words, in Chinese of characters (below)."""


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

    def measure(self, rows: Sequence[Row], out: Path | None = None) -> Measured:
        no_chinese = dict.fromkeys(ENGLISH_METRICS, "it knows no Chinese") if self._chinese else {}
        wanted = [name for name in caption.METRICS if name not in self.skip and name not in no_chinese]
        found = caption.score(
            {row["uniq_id"]: row["prediction"] for row in rows},
            {row["uniq_id"]: row["references"] for row in rows},
            wanted,
        )
        if out is not None:
            caption.write_coco_results(out / COCO_RESULTS, {row["uniq_id"]: row["prediction"] for row in rows})
        values = [found.per_image[row["uniq_id"]] for row in rows]
        return Measured(scores=found.overall, rows=values, metric="CIDEr", skipped=found.skipped | no_chinese)

    def slices(self, row: Row) -> dict[str, str]:
        unit = "characters" if self._chinese else "words"
        words = statistics.fmean(len(split_characters(reference).split()) for reference in row["references"])
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

    def measure(self, rows: Sequence[Row], out: Path | None = None) -> Measured:
        boxes = [row["prediction"] for row in rows]
        truth = [row["references"][0] for row in rows]
        found = grounding.report(boxes, truth)
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
        return {
            "box size": _class((x1 - x0) * (y1 - y0) / (width * height), SIZES),
            "words in the expression": _class(len(split_characters(row["text"]).split()), LENGTHS),
        }


class RegionCaptionMeasure(Measure):
    """CIDEr, and the share of texts that are one of the expressions: a region is described once, and held against all
    expressions that mean it."""

    repeats = True

    def key(self, row: Mapping[str, Any]) -> str:
        return f"{row['image_id']} {row['box']}"

    def truth(self, row: Mapping[str, str], reference: Any) -> dict[str, Any]:
        if not row["text"].strip():
            raise OFAError("the row has no text")
        return {"references": [row["text"]], "region": [float(corner) for corner in row["box"].split(",")]}

    def together(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        return {"references": [row["text"] for row in rows]}

    def measure(self, rows: Sequence[Row], out: Path | None = None) -> Measured:
        predictions = {row["uniq_id"]: row["prediction"] for row in rows}
        references = {row["uniq_id"]: row["references"] for row in rows}
        found = caption.score(predictions, references, ("CIDEr", "exact_match"))
        return Measured(scores=found.overall, rows=list(found.per_image.values()), metric="CIDEr")


class VqaMeasure(Measure):
    """VQA v2's official accuracy, over all, by type of answer and by type of question."""

    @cached_property
    def types(self) -> QuestionTypes:
        return QuestionTypes(self.tables)

    def truth(self, row: Mapping[str, str], reference: Any) -> dict[str, Any]:
        if not reference:
            raise OFAError("the row has no answers")
        return {"references": dict(reference), "question": row["question"]}

    def complete(self, rows: Sequence[Row]) -> list[Row]:
        return [row | self.types.of(row["uniq_id"], row["question"], row["references"]) for row in rows]

    def measure(self, rows: Sequence[Row], out: Path | None = None) -> Measured:
        values = [accuracy(row["prediction"], row["references"]) for row in rows]
        by_type = {
            name: [value for value, row in zip(values, rows, strict=True) if row["answer_type"] == name]
            for name in ("yes/no", "number", "other")
        }
        return Measured(
            scores={"accuracy": statistics.fmean(values)}
            | {name: statistics.fmean(part) for name, part in by_type.items() if part},
            rows=[{"accuracy": value} for value in values],
            metric="accuracy",
            notes=(self.types.source,),
        )

    def slices(self, row: Row) -> dict[str, str]:
        return {"answer type": row["answer_type"], "question type": row["question_type"]}


def measure_for(
    task: Task,
    skip: Collection[str] = (),
    checkpoint: str = "",
    judges: Judges | None = None,
    tables: Sequence[str | Path] = (),
    device: str = "auto",
) -> Measure:
    """The measure of a task.

    Args:
        task: an instance of it.
        skip: metrics to leave out, such as METEOR, which takes a minute for 5,000 captions.
        checkpoint: the network whose predictions are judged.
        judges: what painted pictures are judged with.
        tables: files of the evaluated table.
        device: where the judges compute: auto, cpu, cuda:0 ...
    """
    for name in skip:
        if name not in caption.METRICS:
            known = list(caption.METRICS)
            raise OFAError(f"no metric '{name}' to leave out{nearest(name, known)} (there are: {', '.join(known)})")
    kind = next((made for kind, made in _MEASURES.items() if isinstance(task, kind)), Measure)
    return kind(task, skip, checkpoint, judges, tables, device)


def _class(value: float, classes: Mapping[str, float]) -> str:
    return next(name for name, end in classes.items() if value < end)


_MEASURES: dict[type[Task], type[Measure]] = {
    Caption: CaptionMeasure,
    Detection: DetectionMeasure,
    ImageGen: PaintingMeasure,
    ImageInfilling: PretrainingMeasure,
    Refcoco: GroundingMeasure,
    RegionCaption: RegionCaptionMeasure,
    TextInfilling: PretrainingMeasure,
    VisionLanguage: VisionLanguageMeasure,
    Vqa: VqaMeasure,
}
