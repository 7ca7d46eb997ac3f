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

from components.evaluate.judges import Judges
from components.evaluate.measure import Measure, Measured, Row
from components.lineage import checkpoint_hash
from ofa.api import OFA
from ofa.checkpoint.vqgan import FOLDER, load_vqgan
from ofa.data.batch import HALF
from ofa.data.transforms import normalize, resize
from ofa.device import choose_device
from ofa.errors import OFAError
from ofa.metrics.inception import Inception, missing
from ofa.metrics.pictures import Gaussian, frechet_distance, inception_score
from ofa.paint import Painter
from ofa.progress import track

PICTURES = "pictures"
"""Folder of an evaluation with the painted pictures, ID.png."""
PROMPT = "caption: "
AT_ONCE = 32
"""Pictures in memory."""


class PaintingMeasure(Measure):
    """The task's own score of the codes, and what judges say of the pictures, which are kept."""

    def identity(self) -> dict[str, str]:
        return {"judge": checkpoint_hash(self.judges.judge)[0] if self.judges.judge else ""}

    def equip(self, device: torch.device) -> None:
        """Let the judge choose among the pictures that are drawn for a text."""
        if self.judges.judge:
            scorer = OFA.from_pretrained(self.judges.judge, device).caption_scores
            self.task.rank = dataclasses.replace(painter_of(self.checkpoint, device), scorer=scorer).rank

    def measure(self, rows: Sequence[Row], out: Path | None = None) -> Measured:
        """Score predictions; their pictures are painted, looked at and kept a few at a time."""
        measured, viewers = super().measure(rows, out), []
        if self.judges.judge:
            viewers.append(_Captioner(self.judges.judge, self.device))
        else:
            measured.skipped["caption_score"] = (
                "name a network that captions, `ofa evaluate run image_gen --judge models/caption`"
            )
        if self.judges.inception:
            viewers.append(_Inception(self.judges, self.device))
        else:
            measured.skipped["FID, IS"] = missing()
        painter = painter_of(self.checkpoint, self.device)
        for start in track(range(0, len(rows), AT_ONCE), label="paint", unit="batch"):
            part = rows[start : start + AT_ONCE]
            painted = painter.pictures([row["prediction"] for row in part])
            compared = any(viewer.compares for viewer in viewers)
            wanted = painter.pictures([row["references"] for row in part]) if compared else []
            for viewer in viewers:
                viewer.look(part, painted, wanted)
            if out is not None:
                _keep(out / PICTURES, part, painted)
        for viewer in viewers:
            measured = viewer.judge(measured)
        return measured


class _Captioner:
    """A network that captions: how likely the text is of a picture, and what its ResNet sees."""

    compares = True
    """It also looks at the pictures that were to be painted."""

    def __init__(self, path: str, device: str):
        self.path, self.net = path, OFA.from_pretrained(path, device)
        self.scores: list[float] = []
        self.painted: list[NDArray] = []
        self.wanted: list[NDArray] = []

    def look(self, rows: Sequence[Row], painted: Sequence[Image.Image], wanted: Sequence[Image.Image]) -> None:
        texts = [row["prompt"].partition(PROMPT)[2] for row in rows]
        found = self.net.caption_scores(painted, texts)
        for text, score in zip(texts, found, strict=True):
            if not np.isfinite(score):
                raise OFAError(f"{self.path}: cannot say {text!r}; take a judge that captions with such words")
        self.scores += found
        self.painted.append(judge_features(self.net, painted))
        self.wanted.append(judge_features(self.net, wanted))

    def judge(self, measured: Measured) -> Measured:
        scores = {
            "caption_score": float(np.mean(self.scores)),
            "judge_distance": distance(np.concatenate(self.painted), np.concatenate(self.wanted)),
        }
        pairs = zip(measured.rows, self.scores, strict=True)
        values = [row | {"caption_score": score} for row, score in pairs]
        return dataclasses.replace(measured, scores=measured.scores | scores, rows=values, metric="caption_score")


class _Inception:
    """Inception v3: FID and IS."""

    def __init__(self, judges: Judges, device: str):
        self.net, self.real = Inception(judges.inception, choose_device(device)), judges.real
        self.compares = not self.real
        self.painted: list[NDArray] = []
        self.classes: list[NDArray] = []
        self.wanted: list[NDArray] = []

    def look(self, rows: Sequence[Row], painted: Sequence[Image.Image], wanted: Sequence[Image.Image]) -> None:
        features, classes = self.net(painted)
        self.painted.append(features)
        self.classes.append(classes)
        if self.compares:
            self.wanted.append(self.net(wanted)[0])

    def judge(self, measured: Measured) -> Measured:
        real = Gaussian.of(np.concatenate(self.wanted)) if self.compares else Gaussian.load(self.real)
        scores = {
            "FID": frechet_distance(Gaussian.of(np.concatenate(self.painted)), real),
            "IS": inception_score(np.concatenate(self.classes))[0],
        }
        return dataclasses.replace(measured, scores=measured.scores | scores)


def _keep(folder: Path, rows: Sequence[Row], pictures: Sequence[Image.Image]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for row, picture in zip(rows, pictures, strict=True):
        picture.save(folder / f"{row['uniq_id'].replace('/', '_')}.png")


def painter_of(checkpoint: str, device: str | torch.device) -> Painter:
    """The painter that belongs to a network, on a device: auto, cpu, cuda:0 ...

    Raises:
        OFAError: its folder holds no VQ-GAN.
    """
    folder = Path(checkpoint) / FOLDER
    if not folder.is_dir():
        raise OFAError(
            f"{checkpoint}: no VQ-GAN in it to paint with; copy the one that made the codes of its training to {folder}"
        )
    return Painter(load_vqgan(folder).to(choose_device(device)))


@torch.inference_mode()
def judge_features(judge: OFA, pictures: Sequence[Image.Image]) -> NDArray:
    """(N, C) what a network's ResNet sees in N pictures, averaged over each."""
    size = judge.task("caption").settings.patch_image_size
    pixels = torch.stack([resize(picture, size) for picture in pictures])
    return judge.net.encoder.resnet(normalize(pixels.to(judge.device), *HALF)).mean((2, 3)).float().cpu().numpy()


def distance(features: NDArray, others: NDArray) -> float:
    """Fréchet distance of features of two sets of pictures."""
    return frechet_distance(Gaussian.of(features), Gaussian.of(others))
