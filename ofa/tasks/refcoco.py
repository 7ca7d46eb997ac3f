"""Visual grounding (RefCOCO, RefCOCO+, RefCOCOg): which region does a text describe?"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from ofa.data.batch import Batch, Sample
from ofa.data.transforms import resize
from ofa.errors import OFAError
from ofa.generate.config import SearchConfig
from ofa.metrics.grounding import accuracy
from ofa.tasks.base import ImageSettings, ImageTask, Prediction, register
from ofa.tasks.boxes import Bins, Box, parse_box, scale
from ofa.text.cleaning import pre_caption

PROMPTS = {
    "english": ' which region does the text " {} " describe?',
    "chinese": '这段文字" {} "描述的是哪个区域？',
}


@dataclass(frozen=True, kw_only=True)
class RefcocoSettings(ImageSettings):
    """Settings of visual grounding."""

    patch_image_size: int = 512
    num_bins: int = 1000
    """Coordinate bins."""
    max_image_size: int = 512
    """Pixels that the last bin stands for; at least `patch_image_size`."""
    constrain: bool = True
    """Search among coordinate bins only. The original leaves the search open; a word token then gives a wild box."""

    def __post_init__(self):
        super().__post_init__()
        if self.patch_image_size > self.max_image_size:
            raise OFAError(f"patch_image_size {self.patch_image_size} exceeds max_image_size {self.max_image_size}")


@dataclass(frozen=True)
class Region:
    """The truth of a row, and what turns bins back into pixels of the original picture."""

    size: tuple[int, int]
    """Width and height of the original picture."""
    box: tuple[float, float, float, float] | None
    """The true box in its pixels; None at inference."""
    text: str
    """The expression after cleaning."""


@register
class Refcoco(ImageTask):
    """` which region does the text " {text} " describe?` -> four bins: left, top, right, bottom."""

    name = "refcoco"
    table = "refcoco"
    Settings = RefcocoSettings
    settings: RefcocoSettings

    def __init__(self, settings: RefcocoSettings | None = None):
        super().__init__(settings)
        self.bins = Bins(self.settings.max_image_size, self.settings.num_bins)

    @property
    def search(self) -> SearchConfig:
        """Beam 5 and exactly four tokens, as the original evaluates."""
        first = self.tokenizer.bin_offset
        among = (first, first + self.settings.num_bins) if self.settings.constrain else None
        return SearchConfig(beam=5, min_len=4, max_len_b=4, constraint_range=among)

    def sample(self, row: Mapping[str, Any], train: bool, rng: random.Random) -> Sample:
        text = pre_caption(row["text"], self.settings.max_src_length)
        picture = self.open(row)
        side = self.settings.patch_image_size
        box, target = None, []
        if row.get("box"):
            box = parse_box(row["box"])
            bins = self.bins.quantize(scale(box, picture.size, (side, side)))
            target = [self.tokenizer.bin(number) for number in bins]
        return self.seq2seq(
            id=row.get("uniq_id", ""),
            source=self.source(self.encode(PROMPTS[self.settings.language].format(text))),
            target=torch.tensor(target, dtype=torch.long),
            reference=Region(picture.size, None if box is None else tuple(box.tolist()), text),
            **self.shared(row, resize(picture, side)),
        )

    def read(self, tokens: Sequence[int], reference: Region) -> Box:
        """The box in pixels of the original picture, clipped to it unless the search is the original's."""
        numbers = [token - self.tokenizer.bin_offset for token in tokens[:4]] + [0] * (4 - len(tokens))
        side = self.settings.patch_image_size
        corners = self.bins.pixels(numbers).reshape(2, 2) * (np.array(reference.size) / side)
        if self.settings.constrain:
            corners = corners.clip(0, reference.size)
        return Box(*corners.ravel().tolist())

    def predict(self, net: torch.nn.Module, batch: Batch, search: SearchConfig | None = None) -> list[Prediction]:
        found = super().predict(net, batch, search)
        return [replace(p, value=replace(p.value, score=p.score)) for p in found]

    def score(self, predictions: Sequence[Prediction], references: Sequence[Region]) -> dict[str, float]:
        """Share of boxes with an intersection over union of at least 0.5."""
        boxes = [prediction.value.xyxy for prediction in predictions]
        return {"acc@0.5": accuracy(boxes, [reference.box for reference in references])}

