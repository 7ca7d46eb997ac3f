"""Visual entailment (SNLI-VE): does a picture, with its caption, imply a sentence?"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ofa.data.batch import Batch, Sample
from ofa.errors import OFAError
from ofa.generate import SearchConfig
from ofa.metrics.classification import accuracy
from ofa.tasks.answers import AnswerSpace, rank
from ofa.tasks.base import ImageSettings, ImageTask, Prediction, PromptType, register
from ofa.text.cleaning import pre_caption

PROMPTS = {"english": ' does the image describe " {} "?'}
PROMPTS_WITH_CAPTION = {"english": ' can image and text1 " {} " imply text2 " {} "?'}
ANSWERS = {"contradiction": "no", "entailment": "yes", "neutral": "maybe"}


@dataclass(frozen=True, kw_only=True)
class SnliVeSettings(ImageSettings):
    """Settings of visual entailment."""

    add_caption: bool = True
    """Give the picture's caption as well."""
    prompt_type: PromptType = "prev_output"
    """What the decoder is given before the answer."""


@register
class SnliVe(ImageTask):
    """` can image and text1 " {caption} " imply text2 " {hypothesis} "?` -> yes, no or maybe."""

    name = "snli_ve"
    table = "snli_ve"
    Settings = SnliVeSettings
    settings: SnliVeSettings

    def __init__(self, settings: SnliVeSettings | None = None):
        super().__init__(settings)
        self.space = AnswerSpace(tuple(ANSWERS.values()), [self.encode(f" {answer}") for answer in ANSWERS.values()])

    def sample(self, row: Mapping[str, Any], train: bool, rng: random.Random) -> Sample:
        label = row.get("label") or None
        if label is not None and label not in ANSWERS:
            raise OFAError(f"label {label!r} is not one of {', '.join(ANSWERS)}")
        answer = self.encode(f" {ANSWERS[label]}") if label else self.eos[:0]
        longest = self.settings.max_src_length
        text = self.prompt(PROMPTS).format(pre_caption(row["hypothesis"], longest))
        if self.settings.add_caption:
            texts = pre_caption(row["caption"], longest), pre_caption(row["hypothesis"], longest)
            text = self.prompt(PROMPTS_WITH_CAPTION).format(*texts)
        sample = self.prompted(
            id=row.get("uniq_id", ""),
            source=self.source(self.encode(text)),
            answer=answer,
            prompt_type=self.settings.prompt_type,
            reference=ANSWERS.get(label),
            **self.picture(row),
        )
        sample.allowed = self.space.allowed(answer, len(sample.prompt))
        return sample

    def predict(self, net: torch.nn.Module, batch: Batch, search: SearchConfig | None = None) -> list[Prediction]:
        """Score all three answers; there is nothing to search."""
        return rank(net, batch, self.space)

    def read(self, tokens: Sequence[int], reference: Any) -> str:
        return self.tokenizer.decode(tokens).strip()

    def score(self, predictions: Sequence[Prediction], references: Sequence[str]) -> dict[str, float]:
        return {"accuracy": accuracy([prediction.value for prediction in predictions], references)}
