"""Summarization (Gigaword): the headline of a sentence."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import LongTensor

from ofa.data.batch import Sample
from ofa.errors import OFAError
from ofa.generate import SearchConfig
from ofa.metrics import rouge
from ofa.tasks.base import Prediction, Task, TextSettings, register
from ofa.tasks.treebank import treebank_tokens
from ofa.text.cleaning import pre_caption

PROMPTS = {"english": ' what is the summary of article " {} "?'}


@dataclass(frozen=True, kw_only=True)
class GigawordSettings(TextSettings):
    """Settings of summarization."""

    max_src_length: int = 512
    """Words of the article that are kept; then the prompt with the article is cut at as many tokens, which may cost
    its end."""
    max_tgt_length: int = 64
    """Words of the summary that are kept."""
    noise_ratio: float = 0.2
    """Share of the decoder's input tokens that is replaced at random in training."""

    def __post_init__(self):
        super().__post_init__()
        if not 0 <= self.noise_ratio <= 1:
            raise OFAError(f"noise_ratio must lie in 0..1, got {self.noise_ratio}")


@register
class Gigaword(Task):
    """` what is the summary of article " {article} "?` -> the summary, lower-cased, without a leading space."""

    name = "gigaword"
    table = "gigaword"
    Settings = GigawordSettings
    settings: GigawordSettings
    search = SearchConfig(beam=6, max_len_b=32, length_penalty=0.7, no_repeat_ngram=3)

    def sample(self, row: Mapping[str, Any], train: bool, rng: random.Random) -> Sample:
        longest, truth = self.settings.max_src_length, row.get("target", "")
        article = pre_caption(row["source"], longest).replace("<unk>", "unk")
        summary = pre_caption(truth, self.settings.max_tgt_length).replace("<unk>", "unk")
        sample = self.seq2seq(
            id=row.get("uniq_id", ""),
            source=self.source(self.encode(self.prompt(PROMPTS).format(article), longest)),
            target=self.encode(summary),
            reference=truth.lower(),
        )
        if train:
            sample.previous[1:] = self._noisy(sample.previous[1:], rng)
        return sample

    def _noisy(self, tokens: LongTensor, rng: random.Random) -> LongTensor:
        generator = torch.Generator().manual_seed(rng.getrandbits(63))
        replaced = torch.rand(len(tokens), generator=generator) < self.settings.noise_ratio
        others = torch.randint(4, self.tokenizer.code_offset, (len(tokens),), generator=generator)
        return torch.where(replaced, others, tokens)

    def read(self, tokens: Sequence[int], reference: Any) -> str:
        """Lower case, in the tokens of the corpus, where digits are written #."""
        text = self.tokenizer.decode(tokens).lower().strip()
        return treebank_tokens(text).replace("<unk>", " unk").replace("1", "#")

    def score(self, predictions: Sequence[Prediction], references: Sequence[str]) -> dict[str, float]:
        """F1 and recall of ROUGE-1, 2 and L."""
        return rouge.score([prediction.value for prediction in predictions], references)
