"""Text recognition: the texts on a picture, in English or Chinese."""

import random
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL.Image import Image, Resampling
from torch import Tensor

from ofa.data.batch import Sample
from ofa.errors import OFAError
from ofa.generate import SearchConfig
from ofa.metrics.edit_distance import similarity
from ofa.tasks.base import ImageSettings, ImageTask, Prediction, register

PROMPTS = {"english": " what are the texts on the image?", "chinese": "图片上的文字是什么?"}
SMALLEST_SIDE = 64
"""Pixels that neither side of a resized picture falls below."""


@dataclass(frozen=True, kw_only=True)
class OcrSettings(ImageSettings):
    """Settings of text recognition."""

    max_tgt_length: int = 30
    """Words (Chinese: characters) of the text that are kept."""
    is_document: bool = False
    """The pictures are long lines: each is cut into four parts, which are put one below the other."""
    simplify: bool = False
    """Turn traditional Chinese characters into simplified ones, as the original does; needs the package zhconv."""


@register
class Ocr(ImageTask):
    """` what are the texts on the image?` -> the text, lower-cased, in Unicode's compatibility composition (NFKC)."""

    name = "ocr"
    table = "ocr"
    Settings = OcrSettings
    settings: OcrSettings
    search = SearchConfig(beam=5, max_len_b=64)

    def sample(self, row: Mapping[str, Any], train: bool, rng: random.Random) -> Sample:
        text = self._normalized(row.get("text", ""))
        image = fit(self.open(row), self.settings.patch_image_size, self.settings.is_document, rng if train else None)
        fields = {"image": image, "image_statistics": self.statistics} if train else self.shared(row, image)
        return self.seq2seq(
            id=row.get("uniq_id", ""),
            source=self.source(self.encode(self.prompt(PROMPTS))),
            target=self.encode(f" {text}"),
            reference=text,
            **fields,
        )

    def _normalized(self, text: str) -> str:
        text = unicodedata.normalize("NFKC", simplified(text) if self.settings.simplify else text)
        longest = self.settings.max_tgt_length
        if self.settings.language == "chinese":
            return text[:longest].lower()
        return " ".join(text.lower().split()[:longest])

    def read(self, tokens: Sequence[int], reference: Any) -> str:
        return self.tokenizer.decode(tokens).strip()

    def score(self, predictions: Sequence[Prediction], references: Sequence[str]) -> dict[str, float]:
        """Share of texts read exactly, and the mean of 1 - normalized edit distance; spaces do not count."""
        pairs = [(p.value.replace(" ", ""), r.replace(" ", "")) for p, r in zip(predictions, references, strict=True)]
        return {
            "accuracy": sum(a == b for a, b in pairs) / len(pairs),
            "1-NED": sum(similarity(a, b) for a, b in pairs) / len(pairs),
        }


def fit(picture: Image, size: int, is_document: bool, rng: random.Random | None) -> Tensor:
    """Resize to a square of `size`, keeping the aspect, and repeat the pixels of the edges around it.

    Args:
        picture: RGB.
        size: side of the square.
        is_document: see `OcrSettings`.
        rng: draws where the picture lies; None puts it in the middle (the original draws in evaluation as well).

    Returns:
        (3, size, size) uint8.
    """
    if is_document:
        line = np.asarray(picture.resize((4 * size, SMALLEST_SIDE), Resampling.BICUBIC))
        pixels = np.concatenate(np.split(line, 4, axis=1))
    else:
        width, height = (max(SMALLEST_SIDE, int(size * side / max(picture.size))) for side in picture.size)
        pixels = np.asarray(picture.resize((width, height), Resampling.BICUBIC))
    free = size - pixels.shape[0], size - pixels.shape[1]
    if min(free) < 0:
        raise OFAError(f"patch_image_size {size} is too small for text: set at least {4 * SMALLEST_SIDE}")
    before = [rng.randint(0, room) if rng and room else room // 2 for room in free]
    around = [(start, room - start) for start, room in zip(before, free, strict=True)]
    return torch.from_numpy(np.pad(pixels, [*around, (0, 0)], mode="edge")).permute(2, 0, 1)


def simplified(text: str) -> str:
    """Chinese text in simplified characters.

    Raises:
        OFAError: the package zhconv is not installed.
    """
    try:
        from zhconv import convert
    except ImportError:
        raise OFAError("simplify needs the package zhconv: install it or set simplify to false") from None
    return convert(text, "zh-hans")
