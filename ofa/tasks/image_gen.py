"""Text-to-image: the codes of a picture, which `ofa.model.vqgan` turns into pixels."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ofa.data.batch import PAD, Batch, Sample
from ofa.errors import OFAError
from ofa.generate import Hypothesis, SearchConfig
from ofa.tasks.base import Prediction, Task, TextSettings, register
from ofa.tasks.infilling import CODE_PIXELS, parse_codes

PROMPTS = {"english": " what is the complete image? caption: {}"}


@dataclass(frozen=True, kw_only=True)
class ImageGenSettings(TextSettings):
    """Settings of text-to-image."""

    max_src_length: int = 64
    """Words of the text that are kept."""
    code_image_size: int = 256
    """Side of the picture (pixels) that the codes stand for; the network needs the same `code_image_size`."""
    vqgan_codes: int = 8192
    """Codes that the VQ-GAN has; the search stays among them. The original's has all 8192."""

    def __post_init__(self):
        super().__post_init__()
        if not 1 <= self.vqgan_codes <= 8192:
            raise OFAError(f"vqgan_codes must be 1 to 8192, got {self.vqgan_codes}")
        if self.code_image_size % CODE_PIXELS or self.code_image_size < CODE_PIXELS:
            raise OFAError(f"code_image_size must be a multiple of {CODE_PIXELS}, got {self.code_image_size}")


@register
class ImageGen(Task):
    """` what is the complete image? caption: {text}` -> the codes of the picture, row by row."""

    name = "image_gen"
    table = "image_gen"
    Settings = ImageGenSettings
    settings: ImageGenSettings
    rank: Callable[[Sequence[Sequence[int]], str], Sequence[float]] | None = None
    """Scores the outputs for a text (`ofa.paint.Painter.rank`); the best of them is then the prediction, and its score
    that of the ranking. None: the most probable one is."""

    @property
    def codes(self) -> int:
        """Number of codes of a picture."""
        return (self.settings.code_image_size // CODE_PIXELS) ** 2

    @property
    def search(self) -> SearchConfig:
        """24 draws among the 256 most probable codes; the best are then chosen by comparing picture and text."""
        first = self.tokenizer.code_offset
        among = (first, first + self.settings.vqgan_codes)
        return SearchConfig(
            beam=24, sampling=True, top_k=256, min_len=self.codes, max_len_b=self.codes, constraint_range=among
        )

    def sample(self, row: Mapping[str, Any], train: bool, rng: random.Random) -> Sample:
        text = " ".join(row["caption"].split()[: self.settings.max_src_length])
        codes = parse_codes(row.get("codes", ""), self.codes)
        return self.seq2seq(
            id=row.get("uniq_id", ""),
            source=self.source(self.encode(self.prompt(PROMPTS).format(text))),
            target=codes + self.tokenizer.code_offset,
            code_mask=True,
            reference=codes.tolist(),
        )

    def read(self, tokens: Sequence[int], reference: Any) -> list[int]:
        """The codes, 0..8191."""
        return [token - self.tokenizer.code_offset for token in tokens]

    def _predictions(self, batch: Batch, found: Sequence[Sequence[Hypothesis]]) -> list[Prediction]:
        predictions = super()._predictions(batch, found)
        if self.rank is None:
            return predictions
        return [self._ranked(p, source) for p, source in zip(predictions, batch.source.tolist(), strict=True)]

    def _ranked(self, found: Prediction, source: Sequence[int]) -> Prediction:
        """The outputs in the order of how well they fit their text, which is in `source`, padded."""
        outputs = [found.value, *(value for value, _ in found.alternatives)]
        prompt = self.tokenizer.decode([token for token in source if token != PAD]).strip()
        scores = self.rank(outputs, prompt.removeprefix(self.prompt(PROMPTS).format("").strip()).strip())
        ranked = sorted(zip(outputs, scores, strict=True), key=lambda pair: -pair[1])
        return replace(found, value=ranked[0][0], score=ranked[0][1], alternatives=tuple(ranked[1:]))

    def score(self, predictions: Sequence[Prediction], references: Sequence[list[int]]) -> dict[str, float]:
        """Share of codes that equal the true picture's: low even for good pictures, but it moves with training."""
        right = sum(
            found == code
            for prediction, truth in zip(predictions, references, strict=True)
            for found, code in zip(prediction.value, truth, strict=False)
        )
        return {"code_accuracy": right / max(sum(map(len, references)), 1)}
