"""Pretraining on text alone and on pictures alone: fill in what is hidden."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch

from ofa.data.batch import Sample
from ofa.data.transforms import to_tensor
from ofa.errors import OFAError
from ofa.generate import SearchConfig
from ofa.tasks.base import ImageSettings, ImageTask, Prediction, Task, TextSettings, register
from ofa.tasks.noise import SpanNoise

TEXT_PROMPTS = {"english": ' what is the complete text of " "?', "chinese": '"  "的完整文本是什么?'}
"""The noisy text goes between the quotation marks."""
IMAGE_PROMPTS = {"english": " what is the image in the middle part?", "chinese": "图片中间部分是什么?"}
CODE_PIXELS = 8
"""Side of the square that one image code stands for."""


@dataclass(frozen=True, kw_only=True)
class TextInfillingSettings(TextSettings):
    """Settings of text infilling."""

    max_src_length: int = 512
    """Tokens of the text that are read."""
    max_tgt_length: int = 256
    """Of these, so many from the end are used."""
    mask_ratio: float = 0.3
    """Share of the words that is hidden."""
    poisson_lambda: float = 3.0
    """Mean length (words) of a hidden span."""
    random_ratio: float = 0.0
    """Share of masks that are replaced by a random token."""
    confidence: float = 1.0
    """Weight of the samples in the loss; 2 in the original's pretraining."""


@register
class TextInfilling(Task):
    """` what is the complete text of " {noisy text} "?` -> the lower-cased text."""

    name = "text_infilling"
    table = "text"
    Settings = TextInfillingSettings
    settings: TextInfillingSettings
    search = SearchConfig(beam=5, max_len_b=256)

    @cached_property
    def noise(self) -> SpanNoise:
        """The noise of the settings."""
        return SpanNoise(
            tokenizer=self.tokenizer,
            mask_ratio=self.settings.mask_ratio,
            poisson_lambda=self.settings.poisson_lambda,
            random_ratio=self.settings.random_ratio,
        )

    def sample(self, row: Mapping[str, Any], train: bool, rng: random.Random) -> Sample:
        text = row["text"].strip().lower()
        tokens = self.encode(f" {text}", self.settings.max_src_length)[-self.settings.max_tgt_length :]
        generator = torch.Generator().manual_seed(rng.getrandbits(63))
        noisy = self.noise(torch.cat([self.bos, tokens, self.eos]), generator)[1:-1]
        before, after = self._prompt
        return self.seq2seq(
            id=row.get("uniq_id", ""),
            source=self.source(before, noisy, after),
            target=tokens,
            confidence=self.settings.confidence,
            reference=self.tokenizer.decode(tokens.tolist()).strip(),
        )

    @cached_property
    def _prompt(self) -> tuple[torch.LongTensor, torch.LongTensor]:
        prompt = self.encode(self.prompt(TEXT_PROMPTS))
        quote = self.encode(' "')
        place = next(i for i in range(1, len(prompt)) if prompt[i - 1] == quote)
        return prompt[:place], prompt[place:]

    def read(self, tokens: Sequence[int], reference: str) -> str:
        return self.tokenizer.decode(tokens).strip()

    def score(self, predictions: Sequence[Prediction], references: Sequence[str]) -> dict[str, float]:
        """Share of texts that are restored exactly."""
        right = [prediction.value == text for prediction, text in zip(predictions, references, strict=True)]
        return {"exact_match": sum(right) / len(right)}


@dataclass(frozen=True, kw_only=True)
class ImageInfillingSettings(ImageSettings):
    """Settings of image infilling."""

    patch_image_size: int = 256
    """Side of the pictures of the table, which are not resized: their codes belong to their pixels. The hidden and
    coded part is the central square of half the side."""
    confidence: float = 1.0
    """Weight of the samples in the loss; 2 in the original's pretraining."""


@register
class ImageInfilling(ImageTask):
    """` what is the image in the middle part?` -> the codes of the picture's hidden center, row by row."""

    name = "image_infilling"
    table = "image"
    Settings = ImageInfillingSettings
    settings: ImageInfillingSettings

    @property
    def codes(self) -> int:
        """Number of codes of the hidden part."""
        return (self.settings.patch_image_size // 2 // CODE_PIXELS) ** 2

    @property
    def search(self) -> SearchConfig:
        """Greedy, exactly the codes of the hidden part."""
        among = (self.tokenizer.code_offset, self.tokenizer.bin_offset)
        return SearchConfig(beam=1, min_len=self.codes, max_len_b=self.codes, constraint_range=among)

    def sample(self, row: Mapping[str, Any], train: bool, rng: random.Random) -> Sample:
        side = self.settings.patch_image_size
        picture = self.open(row)
        if picture.size != (side, side):
            width, height = picture.size
            raise OFAError(f"the picture has {width}x{height} pixels, image infilling needs {side}x{side}")
        target = parse_codes(row.get("codes", ""), self.codes)
        return self.seq2seq(
            id=row.get("uniq_id", ""),
            source=self.source(self.encode(self.prompt(IMAGE_PROMPTS))),
            target=target + self.tokenizer.code_offset,
            code_mask=True,
            blank=(side // 4, side // 4, side * 3 // 4, side * 3 // 4),
            confidence=self.settings.confidence,
            reference=target.tolist(),
            image=to_tensor(picture),
            image_statistics=self.statistics,
        )

    def read(self, tokens: Sequence[int], reference: Any) -> list[int]:
        return [token - self.tokenizer.code_offset for token in tokens]

    def score(self, predictions: Sequence[Prediction], references: Sequence[list[int]]) -> dict[str, float]:
        """Share of codes that are right."""
        right = 0
        for prediction, truth in zip(predictions, references, strict=True):
            right += sum(found == code for found, code in zip(prediction.value, truth, strict=False))
        return {"accuracy": right / max(sum(map(len, references)), 1)}


def parse_codes(text: str, count: int) -> torch.LongTensor:
    """Image codes from space-separated numbers; none from an empty text.

    Raises:
        OFAError: there are not `count` codes, or one is not in 0..8191.
    """
    try:
        codes = torch.tensor([int(number) for number in text.split()], dtype=torch.long)
    except ValueError as error:
        raise OFAError(f"image codes must be whole numbers: {error}") from error
    if len(codes) not in (0, count):
        raise OFAError(f"{len(codes)} image codes instead of {count}")
    if len(codes) and (codes.min() < 0 or codes.max() > 8191):
        raise OFAError(f"image codes must be in 0..8191, found {int(codes.min())}..{int(codes.max())}")
    return codes
