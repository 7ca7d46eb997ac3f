"""Image classification (ImageNet): the name of a picture's class."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, log, sqrt
from typing import Any

import torch
from PIL.Image import Image, Resampling
from PIL.ImageOps import mirror
from torch import Tensor

from ofa.data.augment import random_augment
from ofa.data.batch import Batch, Sample
from ofa.data.transforms import to_tensor
from ofa.errors import OFAError
from ofa.generate import SearchConfig
from ofa.tasks.answers import AnswerSpace, rank, read_answers
from ofa.tasks.base import ImageSettings, ImageTask, Prediction, register
from ofa.tasks.caption import PROMPTS


@dataclass(frozen=True, kw_only=True)
class ImageClassifySettings(ImageSettings):
    """Settings of image classification."""

    imagenet_default_mean_and_std: bool = True
    labels: tuple[str, ...] | None = None
    """Names of the classes. None: any text, in training and search."""
    labels_file: str | None = None
    """File of the names, see `ofa.tasks.answers.read_answers`; instead of `labels`."""
    augment: bool = True
    """Training pictures are cut, mirrored, distorted and partly erased."""
    erase_ratio: float = 0.25
    """Probability that a rectangle is erased."""

    def __post_init__(self):
        super().__post_init__()
        if self.labels is not None and self.labels_file is not None:
            raise OFAError("set labels or labels_file, not both")


@register
class ImageClassify(ImageTask):
    """` what does the image describe?` -> ` {name of the class}`."""

    name = "image_classify"
    table = "image_classify"
    Settings = ImageClassifySettings
    settings: ImageClassifySettings
    search = SearchConfig(beam=5, max_len_b=30)

    def __init__(self, settings: ImageClassifySettings | None = None):
        super().__init__(settings)
        labels = self.settings.labels
        if self.settings.labels_file is not None:
            labels = read_answers(self.settings.labels_file)
        self.space = None if labels is None else AnswerSpace(labels, [self.encode(f" {label}") for label in labels])

    def sample(self, row: Mapping[str, Any], train: bool, rng: random.Random) -> Sample:
        label = row.get("label", "")
        target = self.encode(f" {label}") if label else self.eos[:0]
        picture = self.picture(row)
        if train and self.settings.augment:
            picture |= {"image": self._augmented(self.open(row), rng), "image_key": None}
        return self.seq2seq(
            id=row.get("uniq_id", ""),
            source=self.source(self.encode(self.prompt(PROMPTS))),
            target=target,
            allowed=None if self.space is None else self.space.allowed(target),
            reference=label,
            **picture,
        )

    def _augmented(self, picture: Image, rng: random.Random) -> Tensor:
        picture = random_resized_crop(picture, self.settings.patch_image_size, rng)
        if rng.random() < 0.5:
            picture = mirror(picture)
        picture = random_augment(picture, rng, count=2, magnitude=rng.gauss(9, 0.5))
        image = to_tensor(random_augment(picture, rng)).contiguous()
        return erase(image, rng) if rng.random() < self.settings.erase_ratio else image

    def predict(self, net: torch.nn.Module, batch: Batch, search: SearchConfig | None = None) -> list[Prediction]:
        """Score all classes; without a list of them, search."""
        return super().predict(net, batch, search) if self.space is None else rank(net, batch, self.space)

    def read(self, tokens: Sequence[int], reference: Any) -> str:
        return self.tokenizer.decode(tokens).strip()

    def score(self, predictions: Sequence[Prediction], references: Sequence[str]) -> dict[str, float]:
        """Share of pictures whose class is the first, or among the first five."""
        pairs = list(zip(predictions, references, strict=True))
        first = sum(found.value == truth for found, truth in pairs)
        five = sum(truth in (found.value, *(v for v, _ in found.alternatives[:4])) for found, truth in pairs)
        return {"top1": first / len(pairs), "top5": five / len(pairs)}


def random_resized_crop(picture: Image, size: int, rng: random.Random) -> Image:
    """A random part, of 8 to 100 % of the area and an aspect of 3:4 to 4:3, stretched to a square (arXiv 1409.4842)."""
    width, height = picture.size
    for _ in range(10):
        area, aspect = width * height * rng.uniform(0.08, 1), exp(rng.uniform(log(3 / 4), log(4 / 3)))
        w, h = round(sqrt(area * aspect)), round(sqrt(area / aspect))
        if 0 < w <= width and 0 < h <= height:
            left, top = rng.randint(0, width - w), rng.randint(0, height - h)
            return picture.resize((size, size), Resampling.BICUBIC, box=(left, top, left + w, top + h))
    return picture.resize((size, size), Resampling.BICUBIC)


def erase(image: Tensor, rng: random.Random) -> Tensor:
    """Fill a rectangle of 2 to 33 % of the area, of an aspect of 0.3 to 3.3, with noise (arXiv 1708.04896)."""
    _, height, width = image.shape
    for _ in range(10):
        area, aspect = width * height * rng.uniform(0.02, 1 / 3), exp(rng.uniform(log(0.3), log(1 / 0.3)))
        w, h = round(sqrt(area * aspect)), round(sqrt(area / aspect))
        if 0 < w < width and 0 < h < height:
            left, top = rng.randint(0, width - w), rng.randint(0, height - h)
            noise = torch.Generator().manual_seed(rng.getrandbits(63))
            pixels = torch.randint(0, 256, (3, h, w), dtype=torch.uint8, generator=noise)
            image[:, top : top + h, left : left + w] = pixels
            break
    return image
