"""Free instructions: any text, with or without a picture. What pretraining taught can be asked in its own words."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ofa.data.batch import Sample
from ofa.data.transforms import resize
from ofa.errors import OFAError
from ofa.generate import SearchConfig
from ofa.tasks.base import ImageTask, Prediction, register
from ofa.tasks.boxes import Box, BoxSettings

CORNERS = 4


@dataclass(frozen=True)
class Reply:
    """What the network said."""

    text: str
    """Without the boxes."""
    boxes: tuple[Box, ...] = ()
    """Every four bins, as a box in pixels of the picture with the words that follow them as its label."""


@register
class Instruction(ImageTask):
    """` {text}` -> text and boxes, as the network likes to say it."""

    name = "instruction"
    table = "instruction"
    columns = ("uniq_id", "text", "target", "image")
    part_of = "vision_language"
    Settings = BoxSettings
    settings: BoxSettings
    search = SearchConfig(beam=5, max_len_b=40, no_repeat_ngram=3)

    def sample(self, row: Mapping[str, Any], train: bool, rng: random.Random) -> Sample:
        words = row["text"].split()[: self.settings.max_src_length]
        if not words:
            raise OFAError("the instruction is empty")
        size, shown = (1, 1), {}
        if row.get("image"):
            picture = self.open(row)
            size, shown = picture.size, self.shared(row, resize(picture, self.settings.patch_image_size))
        return self.seq2seq(
            id=row.get("uniq_id", ""),
            source=self.source(self.encode(f" {' '.join(words)}")),
            target=self.encode(f" {row.get('target', '')}".rstrip()),
            reference=size,
            **shown,
        )

    def read(self, tokens: Sequence[int], reference: tuple[int, int]) -> Reply:
        """Words and boxes apart; `reference` is the picture's size. A group of other than four bins is no box."""
        texts, boxes, place = [], [], 0
        while place < len(tokens):
            start, is_bin = place, self.tokenizer.is_bin(tokens[place])
            while place < len(tokens) and self.tokenizer.is_bin(tokens[place]) == is_bin:
                place += 1
            run = tokens[start:place]
            if not is_bin:
                texts.append(self.tokenizer.decode(run).strip())
            elif len(run) == CORNERS:
                follows = next((n for n in range(place, len(tokens)) if self.tokenizer.is_bin(tokens[n])), len(tokens))
                bins = [token - self.tokenizer.bin_offset for token in run]
                box = self.settings.bins.box(bins, self.settings.patch_image_size, reference)
                boxes.append(Box(*box.xyxy, self.tokenizer.decode(tokens[place:follows]).strip()))
        return Reply(" ".join(filter(None, texts)), tuple(boxes))

    def score(self, predictions: Sequence[Prediction], references: Sequence[Any]) -> dict[str, float]:
        """None: nothing says what is right."""
        return {}
