"""Visual grounding (RefCOCO, RefCOCO+, RefCOCOg): which region does a text describe?"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from ofa.data.batch import Batch, Sample
from ofa.data.geometry import NO_BOXES, stretch
from ofa.data.transforms import to_tensor
from ofa.generate import SearchConfig
from ofa.metrics.grounding import accuracy
from ofa.tasks.base import ImageTask, Language, Prediction, register
from ofa.tasks.boxes import Box, BoxSettings, Region, parse_box
from ofa.text.cleaning import pre_caption

PROMPTS = {
    "english": ' which region does the text " {} " describe?',
    "chinese": '这段文字" {} "描述的是哪个区域？',
}


@dataclass(frozen=True, kw_only=True)
class RefcocoSettings(BoxSettings):
    """Settings of visual grounding."""

    patch_image_size: int = 512
    constrain: bool = True
    """Search among coordinate bins only. The original leaves the search open; a word token then gives a wild box."""


@register
class Refcoco(ImageTask):
    """` which region does the text " {text} " describe?` -> four bins: left, top, right, bottom."""

    name = "refcoco"
    table = "refcoco"
    Settings = RefcocoSettings
    settings: RefcocoSettings

    @property
    def search(self) -> SearchConfig:
        """Beam 5 and exactly four tokens, as the original evaluates."""
        first = self.tokenizer.bin_offset
        among = (first, first + self.settings.num_bins) if self.settings.constrain else None
        return SearchConfig(beam=5, min_len=4, max_len_b=4, constraint_range=among)

    def sample(self, row: Mapping[str, Any], train: bool, rng: random.Random) -> Sample:
        text = pre_caption(row["text"], self.settings.max_src_length)
        picture = self.open(row)
        boxes = parse_box(row["box"])[None] if row.get("box") else NO_BOXES
        side = self.settings.patch_image_size
        resized, moved = stretch(picture, boxes, side, side)
        target = torch.tensor(self.settings.bins.quantize(moved), dtype=torch.long) + self.tokenizer.bin_offset
        return self.seq2seq(
            id=row.get("uniq_id", ""),
            source=self.source(self.encode(self.prompt(PROMPTS).format(text))),
            target=target,
            reference=Region(picture.size, tuple(boxes[0].tolist()) if len(boxes) else None, text),
            **self.shared(row, to_tensor(resized)),
        )

    def read(self, tokens: Sequence[int], reference: Region) -> Box:
        """The box in pixels of the original picture, clipped to it unless the search is the original's."""
        numbers = [token - self.tokenizer.bin_offset for token in tokens]
        side = self.settings.patch_image_size
        return self.settings.bins.box(numbers, side, reference.size, clip=self.settings.constrain)

    def predict(self, net: torch.nn.Module, batch: Batch, search: SearchConfig | None = None) -> list[Prediction]:
        found = super().predict(net, batch, search)
        return [replace(p, value=replace(p.value, score=p.score)) for p in found]

    def score(self, predictions: Sequence[Prediction], references: Sequence[Region]) -> dict[str, float]:
        """Share of boxes with an intersection over union of at least 0.5."""
        boxes = [prediction.value.xyxy for prediction in predictions]
        return {"acc@0.5": accuracy(boxes, [reference.box for reference in references])}


@dataclass(frozen=True, kw_only=True)
class RefcocoZhSettings(RefcocoSettings):
    """Settings of visual grounding in Chinese."""

    language: Language = "chinese"


@register
class RefcocoZh(Refcoco):
    """Visual grounding in Chinese: a task of its own, with a table, a network, scores and rules of the gate."""

    name = "refcoco_zh"
    Settings = RefcocoZhSettings
