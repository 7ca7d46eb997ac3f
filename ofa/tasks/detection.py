"""Object detection with an open vocabulary: boxes and names as one sequence."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import FloatTensor, LongTensor

from ofa.data.batch import Sample
from ofa.data.geometry import NO_BOXES, flip, large_scale_jitter, stretch, visible
from ofa.data.transforms import to_tensor
from ofa.errors import OFAError
from ofa.generate import SearchConfig
from ofa.metrics.detection import f1
from ofa.tasks.base import ImageTask, Prediction, register
from ofa.tasks.boxes import Box, BoxSettings, parse_box

PROMPTS = {"english": " what are the objects in the image?", "chinese": "图片中有哪些物体?"}


@dataclass(frozen=True, kw_only=True)
class DetectionSettings(BoxSettings):
    """Settings of detection."""

    patch_image_size: int = 256
    max_tgt_length: int = 1000
    """Tokens of the target; objects beyond are left out whole."""
    augment: bool = True
    """Training pictures are mirrored half of the time, and enlarged up to 1.5 times and cut."""
    confidence: float = 1.0
    """Weight of the samples in the loss; 2 in the original's pretraining."""


@dataclass(frozen=True)
class Objects:
    """The truth of a row."""

    size: tuple[int, int]
    """Width and height of the original picture."""
    boxes: tuple[Box, ...]
    """Objects with labels, in its pixels."""


@register
class Detection(ImageTask):
    """` what are the objects in the image?` -> for each object four bins and ` {label}`, in the table's order."""

    name = "detection"
    table = "detection"
    Settings = DetectionSettings
    settings: DetectionSettings
    search = SearchConfig(beam=5, max_len_b=200)

    def sample(self, row: Mapping[str, Any], train: bool, rng: random.Random) -> Sample:
        picture = self.open(row)
        boxes, labels = parse_objects(row.get("boxes", ""))
        objects = [Box(*box, label) for box, label in zip(boxes.tolist(), labels, strict=True)]
        truth = Objects(picture.size, tuple(objects))
        side = self.settings.patch_image_size
        if train and self.settings.augment:
            if rng.random() < 0.5:
                picture, boxes = flip(picture, boxes)
            picture, boxes = large_scale_jitter(picture, boxes, rng, side)
            fields = {"image": to_tensor(picture), "image_statistics": self.statistics}
        else:
            picture, boxes = stretch(picture, boxes, side, side)
            fields = self.shared(row, to_tensor(picture))
        return self.seq2seq(
            id=row.get("uniq_id", ""),
            source=self.source(self.encode(self.prompt(PROMPTS))),
            target=self._target(boxes, labels),
            confidence=self.settings.confidence,
            reference=truth,
            **fields,
        )

    def _target(self, boxes: FloatTensor, labels: Sequence[str]) -> LongTensor:
        parts, room = [torch.empty(0, dtype=torch.long)], self.settings.max_tgt_length
        for box, label, seen in zip(boxes, labels, visible(boxes).tolist(), strict=True):
            if not seen:
                continue
            corners = torch.tensor(self.settings.bins.quantize(box)) + self.tokenizer.bin_offset
            part = torch.cat([corners, self.encode(f" {label}")])
            room -= len(part)
            if room < 0:
                break
            parts.append(part)
        return torch.cat(parts)

    def read(self, tokens: Sequence[int], reference: Objects) -> list[Box]:
        """Objects in pixels of the original picture; a box without four bins, or empty, is left out."""
        found, place = [], 0
        while place < len(tokens):
            start = place
            while place < len(tokens) and self.tokenizer.is_bin(tokens[place]):
                place += 1
            bins = [token - self.tokenizer.bin_offset for token in tokens[start:place]][-4:]
            start = place
            while place < len(tokens) and not self.tokenizer.is_bin(tokens[place]):
                place += 1
            box = self.settings.bins.box(bins, self.settings.patch_image_size, reference.size)
            if len(bins) == 4 and box.x1 > box.x0 and box.y1 > box.y0:
                found.append(Box(*box.xyxy, self.tokenizer.decode(tokens[start:place]).strip()))
        return found

    def score(self, predictions: Sequence[Prediction], references: Sequence[Objects]) -> dict[str, float]:
        """F1 of objects found with the right label and an intersection over union of at least 0.5."""
        return {"f1@0.5": f1([p.value for p in predictions], [reference.boxes for reference in references])}


def parse_objects(text: str) -> tuple[FloatTensor, list[str]]:
    """(N, 4) boxes and the labels of "x0,y0,x1,y1,id,name&&..."; none for an empty text.

    Raises:
        OFAError: the text has another form, or a box is empty.
    """
    boxes, labels = [], []
    for part in text.strip().split("&&") if text.strip() else ():
        *corners, label = part.strip().split(",", 5)
        if len(corners) != 5:
            raise OFAError(f"object {part!r} must have the form x0,y0,x1,y1,object_id,object_name")
        boxes.append(parse_box(",".join(corners[:4])))
        labels.append(label)
    return (torch.stack(boxes) if boxes else NO_BOXES), labels
