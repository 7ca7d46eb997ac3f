"""How predictions on the pretraining tables are judged: the loss, and a score for each sort of sample."""

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from components.evaluate.measure import Measure, Measured, Row, plain
from ofa.data.batch import PAD, Batch
from ofa.metrics import caption, grounding
from ofa.metrics.detection import f1
from ofa.tasks.boxes import Box

TEXTS = ("caption", "region_caption")
"""Sorts of samples whose answer is free text: they have CIDEr as well."""


@torch.inference_mode()
def losses(net: torch.nn.Module, batch: Batch) -> list[float | None]:
    """Mean negative log-likelihood (nats) of each sample's target tokens; None where the network scores not all of
    them (`output_ids`), or there are none."""
    features = net(previous_tokens=batch.previous, code_mask=batch.code_mask, features_only=True, **batch.inputs())
    found = []
    for states, target in zip(features, batch.target, strict=True):
        kept = target != PAD
        columns = target[kept] if net.output_ids is None else net.columns(target[kept])
        if not len(columns) or (columns < 0).any():
            found.append(None)
            continue
        log_probs = net.project(states[kept]).float().log_softmax(dim=-1)
        found.append(-log_probs.gather(1, columns[:, None]).mean().item())
    return found


class PretrainingMeasure(Measure):
    """Judges by the task's own score; besides, the mean loss of the samples."""

    losses = True

    def measure(self, rows: Sequence[Row], out: Path | None = None) -> Measured:
        return with_loss(super().measure(rows, out), rows)


class DetectionMeasure(Measure):
    """F1 of objects with the right label and an intersection over union of at least 0.5, over all and by picture."""

    losses = True

    def truth(self, row: Mapping[str, str], reference: Any) -> dict[str, Any]:
        return {"references": [plain(box) for box in reference.boxes]}

    def measure(self, rows: Sequence[Row], out: Path | None = None) -> Measured:
        pairs = [(_boxes(row["prediction"]), _boxes(row["references"])) for row in rows]
        values = [f1([found], [truth]) for found, truth in pairs]
        overall = f1([found for found, _ in pairs], [truth for _, truth in pairs])
        scores = {"mean_F1@0.5": statistics.fmean(values), "F1@0.5": overall}
        measured = Measured(scores=scores, rows=[{"mean_F1@0.5": value} for value in values], metric="mean_F1@0.5")
        return with_loss(measured, rows)


class VisionLanguageMeasure(Measure):
    """The share of right answers, over all and by sort of sample: caption, qa, matching, grounding, region_caption.

    A text is right when it equals the truth, a box when it overlaps by at least half; an answer counts as its
    confidence. Captions of pictures and of regions have CIDEr besides.
    """

    losses = True

    def truth(self, row: Mapping[str, str], reference: Any) -> dict[str, Any]:
        if reference.kind == "grounding":
            region = reference.value
            return {"kind": reference.kind, "references": [list(region.box)], "size": list(region.size)}
        return {"kind": reference.kind, "references": plain(reference.value)}

    def measure(self, rows: Sequence[Row], out: Path | None = None) -> Measured:
        values = [_right(row) for row in rows]
        scores = {"accuracy": statistics.fmean(values)}
        for kind in sorted({row["kind"] for row in rows}):
            own = [(value, row) for value, row in zip(values, rows, strict=True) if row["kind"] == kind]
            scores[f"{kind}/accuracy"] = statistics.fmean(value for value, _ in own)
            if kind in TEXTS:
                texts = {number: row["prediction"] for number, (_, row) in enumerate(own)}
                truths = {number: [row["references"]] for number, (_, row) in enumerate(own)}
                scores[f"{kind}/CIDEr"] = caption.score(texts, truths, ("CIDEr",)).overall["CIDEr"]
        measured = Measured(scores=scores, rows=[{"accuracy": value} for value in values], metric="accuracy")
        return with_loss(measured, rows)

    def slices(self, row: Row) -> dict[str, str]:
        return {"sort of sample": row["kind"]}


def with_loss(measured: Measured, rows: Sequence[Row]) -> Measured:
    """Add the mean of the samples' losses to the scores."""
    known = [row["loss"] for row in rows if row["loss"] is not None]
    if known:
        measured.scores["loss"] = statistics.fmean(known)
    if missing := len(rows) - len(known):
        measured.skipped["loss"] = f"of {missing} samples, whose words the network does not write"
    return measured


def _right(row: Row) -> float:
    found, truth = row["prediction"], row["references"]
    if row["kind"] == "grounding":
        return float(grounding.iou([found], truth)[0] >= 0.5)
    return truth.get(found, 0.0) if row["kind"] == "qa" else float(found == truth)


def _boxes(values: Sequence[Any]) -> list[Box]:
    return [Box(*v["box"], v["label"]) if isinstance(v, Mapping) else Box(*v) for v in values]
