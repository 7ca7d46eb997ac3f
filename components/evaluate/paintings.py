"""How painted pictures are judged: by what networks see in them, held against the pictures that were to be painted.

| score | what it is | needs |
| --- | --- | --- |
| caption_score | mean log-probability (nats a token) of the text as the picture's caption | a judge, which captions |
| judge_distance | Fréchet distance of the judge's ResNet features | a judge |
| FID, IS | as the original computes them | the weights of Inception v3 |

The pictures to be painted are those that the table's own codes stand for, so that painting is judged and not the
VQ-GAN; or, for FID, what a file of statistics tells of real ones.
"""

import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from components.evaluate.measure import Measured, Row
from ofa.api import OFA
from ofa.checkpoint.vqgan import FOLDER, load_vqgan
from ofa.data.batch import HALF
from ofa.data.transforms import normalize, resize
from ofa.errors import OFAError
from ofa.metrics.inception import Inception, missing
from ofa.metrics.pictures import Gaussian, frechet_distance, inception_score
from ofa.paint import Painter

PICTURES = "pictures"
"""Folder of an evaluation with the painted pictures, ID.png."""
PROMPT = "caption: "
AT_ONCE = 32


@dataclasses.dataclass(frozen=True, kw_only=True)
class Judges:
    """What painted pictures are judged with."""

    judge: str = ""
    """Folder of a network that captions. It also chooses among the pictures that are drawn for a text, as the
    original lets CLIP choose; empty: the most probable one is taken."""
    inception: str = ""
    """File of torchvision's weights of Inception v3."""
    real: str = ""
    """A .npz file of `mu` and `sigma` of real pictures, for FID, such as the original's gt_stat.npz; empty: the
    pictures of the table's codes."""

    def measure(self, measured: Measured, rows: Sequence[Row], checkpoint: str, out: Path) -> Measured:
        """Paint the predictions, keep the pictures in `out`, and add their scores."""
        painter = painter_of(checkpoint)
        painted = painter.pictures([row["prediction"] for row in rows])
        wanted = painter.pictures([row["references"] for row in rows])
        _keep(out / PICTURES, rows, painted)
        scores, values, skipped = dict(measured.scores), [dict(row) for row in measured.rows], dict(measured.skipped)
        metric = measured.metric
        if self.judge:
            judge = OFA.from_pretrained(self.judge)
            texts = [row["prompt"].partition(PROMPT)[2] for row in rows]
            found = judge.caption_scores(painted, texts)
            for text, score in zip(texts, found, strict=True):
                if not np.isfinite(score):
                    raise OFAError(f"{self.judge}: cannot say {text!r}; take a judge that captions with such words")
            scores["caption_score"], metric = float(np.mean(found)), "caption_score"
            for row, score in zip(values, found, strict=True):
                row["caption_score"] = score
            scores["judge_distance"] = distance(judge_features(judge, painted), judge_features(judge, wanted))
        else:
            skipped["caption_score"] = (
                "name a network that captions, `ofa evaluate run image_gen --judge models/caption`"
            )
        if self.inception:
            inception = Inception(self.inception)
            features, classes = inception(painted)
            real = Gaussian.load(self.real) if self.real else Gaussian.of(inception(wanted)[0])
            scores["FID"] = frechet_distance(Gaussian.of(features), real)
            scores["IS"], _ = inception_score(classes)
        else:
            skipped["FID, IS"] = missing()
        return dataclasses.replace(measured, scores=scores, rows=values, metric=metric, skipped=skipped)


def painter_of(checkpoint: str) -> Painter:
    """The painter that belongs to a network.

    Raises:
        OFAError: its folder holds no VQ-GAN.
    """
    folder = Path(checkpoint) / FOLDER
    if not folder.is_dir():
        raise OFAError(
            f"{checkpoint}: no VQ-GAN in it to paint with; copy the one that made the codes of its training to {folder}"
        )
    return Painter(load_vqgan(folder))


@torch.inference_mode()
def judge_features(judge: OFA, pictures: Sequence[Image.Image]) -> NDArray:
    """(N, C) what a network's ResNet sees in pictures, averaged over each."""
    size = judge.task("caption").settings.patch_image_size
    found = []
    for start in range(0, len(pictures), AT_ONCE):
        part = torch.stack([resize(picture, size) for picture in pictures[start : start + AT_ONCE]])
        found.append(judge.net.encoder.resnet(normalize(part, *HALF).to(judge.device)).mean((2, 3)).float().cpu())
    return torch.cat(found).numpy()


def distance(features: NDArray, others: NDArray) -> float:
    """Fréchet distance of features of two sets of pictures."""
    return frechet_distance(Gaussian.of(features), Gaussian.of(others))


def _keep(folder: Path, rows: Iterable[Row], pictures: Iterable[Image.Image]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for row, picture in zip(rows, pictures, strict=True):
        picture.save(folder / f"{row['uniq_id'].replace('/', '_')}.png")
