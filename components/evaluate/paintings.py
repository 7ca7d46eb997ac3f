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
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from components.evaluate.measure import Measure, Measured, Row
from components.lineage import checkpoint_hash
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


class PaintingMeasure(Measure):
    """The task's own score of the codes, and what judges say of the pictures, which are kept."""

    def identity(self) -> dict[str, str]:
        return {"judge": checkpoint_hash(self.judges.judge)[0] if self.judges.judge else ""}

    def equip(self, device: str) -> None:
        """Let the judge choose among the pictures that are drawn for a text."""
        if self.judges.judge:
            scorer = OFA.from_pretrained(self.judges.judge, device).caption_scores
            self.task.rank = dataclasses.replace(painter_of(self.checkpoint), scorer=scorer).rank

    def measure(self, rows: Sequence[Row]) -> Measured:
        measured = super().measure(rows)
        painter = painter_of(self.checkpoint)
        painted = self._painted = painter.pictures([row["prediction"] for row in rows])
        wanted = painter.pictures([row["references"] for row in rows])
        if self.judges.judge:
            measured = self._by_judge(measured, rows, painted, wanted)
        else:
            measured.skipped["caption_score"] = (
                "name a network that captions, `ofa evaluate run image_gen --judge models/caption`"
            )
        if self.judges.inception:
            inception = Inception(self.judges.inception)
            features, classes = inception(painted)
            real = Gaussian.load(self.judges.real) if self.judges.real else Gaussian.of(inception(wanted)[0])
            measured.scores["FID"] = frechet_distance(Gaussian.of(features), real)
            measured.scores["IS"], _ = inception_score(classes)
        else:
            measured.skipped["FID, IS"] = missing()
        return measured

    def write(self, out: Path, rows: Sequence[Row]) -> None:
        folder = out / PICTURES
        folder.mkdir(parents=True, exist_ok=True)
        for row, picture in zip(rows, self._painted, strict=True):
            picture.save(folder / f"{row['uniq_id'].replace('/', '_')}.png")

    def _by_judge(
        self, measured: Measured, rows: Sequence[Row], painted: Sequence[Image.Image], wanted: Sequence[Image.Image]
    ) -> Measured:
        judge = OFA.from_pretrained(self.judges.judge)
        texts = [row["prompt"].partition(PROMPT)[2] for row in rows]
        found = judge.caption_scores(painted, texts)
        for text, score in zip(texts, found, strict=True):
            if not np.isfinite(score):
                raise OFAError(f"{self.judges.judge}: cannot say {text!r}; take a judge that captions with such words")
        scores = {
            "caption_score": float(np.mean(found)),
            "judge_distance": distance(judge_features(judge, painted), judge_features(judge, wanted)),
        }
        values = [row | {"caption_score": score} for row, score in zip(measured.rows, found, strict=True)]
        return dataclasses.replace(measured, scores=measured.scores | scores, rows=values, metric="caption_score")


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
