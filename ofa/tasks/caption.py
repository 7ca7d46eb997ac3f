"""Image captioning. Stage 1 is cross-entropy on one caption a row; stage 2 (SCST) needs all references of a picture."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ofa.data.batch import Sample
from ofa.generate import SearchConfig
from ofa.metrics import caption as metric
from ofa.tasks.base import ImageSettings, ImageTask, Language, Prediction, register
from ofa.text.cleaning import strip_punctuation

PROMPTS = {"english": " what does the image describe?", "chinese": "图片描述了什么内容?"}


@dataclass(frozen=True, kw_only=True)
class CaptionSettings(ImageSettings):
    """Settings of captioning."""

    max_tgt_length: int = 20
    """Words of a training caption that are kept (Chinese: characters)."""
    scst: bool = False
    """Train on all references of a picture (joined by &&) for self-critical training, as evaluation does."""


def references_in(text: str) -> list[str]:
    """The references in a row's caption, without punctuation."""
    return [strip_punctuation(part).strip() for part in " ".join(text.split()).split("&&")]


@register
class Caption(ImageTask):
    """` what does the image describe?` -> the caption without punctuation, not lower-cased."""

    name = "caption"
    table = "caption"
    Settings = CaptionSettings
    settings: CaptionSettings
    search = SearchConfig(beam=5, max_len_b=16, no_repeat_ngram=3)

    def sample(self, row: Mapping[str, Any], train: bool, rng: random.Random) -> Sample:
        text = row.get("caption", "")
        references = references_in(text)
        target = self._shortened(text) if train and not self.settings.scst else "&&".join(references)
        return self.seq2seq(
            id=row.get("uniq_id", "") if train else row.get("image_id", ""),
            source=self.source(self.encode(self.prompt(PROMPTS))),
            target=self.encode(f" {target}"),
            reference=references,
            **self.picture(row),
        )

    def _shortened(self, text: str) -> str:
        text, limit = strip_punctuation(text), self.settings.max_tgt_length
        return text.strip()[:limit] if self.settings.language == "chinese" else " ".join(text.split()[:limit])

    def read(self, tokens: Sequence[int], reference: Any) -> str:
        return strip_punctuation(self.tokenizer.decode(tokens)).strip()

    def score(self, predictions: Sequence[Prediction], references: Sequence[list[str]]) -> dict[str, float]:
        """CIDEr, and the share of captions that equal a reference."""
        values = {number: prediction.value for number, prediction in enumerate(predictions)}
        return metric.score(values, dict(enumerate(references)), metrics=("CIDEr", "exact_match")).overall


@dataclass(frozen=True, kw_only=True)
class CaptionZhSettings(CaptionSettings):
    """Settings of captioning in Chinese."""

    language: Language = "chinese"


@register
class CaptionZh(Caption):
    """Captioning in Chinese: a task of its own, with a table, a network, scores and rules of the gate."""

    name = "caption_zh"
    Settings = CaptionZhSettings
