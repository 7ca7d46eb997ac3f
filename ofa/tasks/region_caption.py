"""Grounded captioning: what a region of a picture shows. Pretraining teaches it; its table is that of grounding."""

import random
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from ofa.data.batch import Sample
from ofa.data.geometry import stretch
from ofa.data.transforms import to_tensor
from ofa.errors import OFAError
from ofa.generate import SearchConfig
from ofa.metrics import caption as metric
from ofa.tasks.base import ImageTask, Prediction, register
from ofa.tasks.boxes import BoxSettings, parse_box
from ofa.text.cleaning import pre_caption

PROMPTS = {"english": "  what does the region describe? region:", "chinese": "该区域描述了什么? 区域:"}


@register
class RegionCaption(ImageTask):
    """`  what does the region describe? region:` and the bins of left, top, right, bottom -> a text."""

    name = "region_caption"
    table = "refcoco"
    part_of = "vision_language"
    Settings = BoxSettings
    settings: BoxSettings
    search = SearchConfig(beam=5, max_len_b=16, no_repeat_ngram=3)

    def sample(self, row: Mapping[str, Any], train: bool, rng: random.Random) -> Sample:
        if not row.get("box"):
            raise OFAError("the row has no box: say which region is meant")
        side = self.settings.patch_image_size
        resized, boxes = stretch(self.open(row), parse_box(row["box"])[None], side, side)
        bins = torch.tensor(self.settings.bins.quantize(boxes)) + self.tokenizer.bin_offset
        text = pre_caption(row.get("text", ""), self.settings.max_tgt_length)
        return self.seq2seq(
            id=row.get("uniq_id", ""),
            source=self.source(self.encode(self.prompt(PROMPTS)), bins),
            target=self.encode(f" {text}"),
            reference=text,
            **self.shared(row, to_tensor(resized)),
        )

    def read(self, tokens: Sequence[int], reference: Any) -> str:
        return self.tokenizer.decode(tokens).strip()

    def score(self, predictions: Sequence[Prediction], references: Sequence[str]) -> dict[str, float]:
        """CIDEr, and the share of texts that equal the expression."""
        values = {number: prediction.value for number, prediction in enumerate(predictions)}
        truth = {number: [reference] for number, reference in enumerate(references)}
        return metric.score(values, truth, metrics=("CIDEr", "exact_match")).overall
