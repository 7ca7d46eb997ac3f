"""One object for people who want answers rather than tensors."""

import copy
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from ofa import checkpoint
from ofa.checkpoint.vqgan import FOLDER, load_vqgan, save_vqgan
from ofa.data.batch import collate
from ofa.device import choose_device
from ofa.errors import OFAError
from ofa.generate import log_likelihood
from ofa.model import OFAConfig, OFAModel
from ofa.model.vqgan import VQGAN
from ofa.paint import Painter, Scorer
from ofa.tasks import Prediction, Task, create
from ofa.tasks.boxes import Box
from ofa.tasks.store import learned_settings, save_tasks, saved_settings, vocabulary_settings

Picture = str | PathLike | bytes | Image.Image
"""A path, the bytes of a picture file, or a PIL image."""


class OFA:
    """A network together with the tasks it knows.

    Every method takes one picture (or text) or a list, and returns a list. Example:

        model = OFA.from_pretrained("models/caption")
        model.caption(["cat.jpg", "dog.jpg"])
    """

    def __init__(
        self,
        net: OFAModel,
        tasks: Mapping[str, Mapping[str, Any]] | None = None,
        device: str | torch.device = "auto",
        vqgan: VQGAN | None = None,
    ):
        """`tasks` maps task names to the settings that `net` was trained with; others get the original's settings.

        Tasks speak the language of the network's vocabulary unless their settings say otherwise. `paint` needs the
        `vqgan` that made the codes which `net` was trained on.
        """
        self.device = choose_device(device)
        self.net = net.to(self.device).eval()
        self.vqgan = None if vqgan is None else vqgan.to(self.device).eval()
        self._settings = {name: dict(settings) for name, settings in (tasks or {}).items()}
        self._tasks: dict[str, Task] = {}

    @classmethod
    def from_pretrained(
        cls, path: str | PathLike, device: str | torch.device = "auto", vqgan: str | PathLike = ""
    ) -> "OFA":
        """Load a folder of ours or a `.pt` file of the original; see `ofa.checkpoint.load`.

        `vqgan` is the VQ-GAN to paint with, see `ofa.checkpoint.vqgan.load_vqgan`; by default the one in the folder.
        """
        beside = Path(path) / FOLDER
        if not vqgan and beside.is_dir():
            vqgan = beside
        return cls(checkpoint.load(path), saved_settings(path), device, load_vqgan(vqgan) if vqgan else None)

    @classmethod
    def from_config(cls, size: str, seed: int = 0, device: str = "auto", **overrides: Any) -> "OFA":
        """A network with random weights; `overrides` change fields of the size's configuration."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return cls(OFAModel(OFAConfig.preset(size, **overrides)), device=device)

    def save_pretrained(self, folder: str | PathLike) -> None:
        """Write weights, configuration and task settings; `from_pretrained(folder)` gives the same model."""
        checkpoint.save_folder(folder, self.net)
        save_tasks(folder, {name: self.task(name) for name in self._settings})
        if self.vqgan is not None:
            save_vqgan(Path(folder) / FOLDER, self.vqgan)

    def caption(self, images: Picture | Sequence[Picture], beam: int = 5) -> list[str]:
        """One sentence about each picture."""
        return self._values("caption", [{"image": image} for image in _list(images)], beam=beam)

    def answer(
        self,
        images: Picture | Sequence[Picture],
        questions: str | Sequence[str],
        candidates: Sequence[str] | None = None,
    ) -> list[str]:
        """The answer to each question about its picture; one of `candidates` where they are given."""
        rows = [row | {"objects": ""} for row in _rows(images, question=questions)]
        if candidates is None:
            return self._values("vqa", rows)
        settings = replace(self.task("vqa").settings, answers=tuple(candidates), answers_file=None)
        return [p.value for p in self.predict(create("vqa", settings), rows)]

    def ground(self, images: Picture | Sequence[Picture], texts: str | Sequence[str]) -> list[Box]:
        """The region of each picture that its text describes, in pixels of that picture, with its log-probability."""
        return self._values("refcoco", _rows(images, text=texts))

    def classify(self, images: Picture | Sequence[Picture], labels: Sequence[str]) -> list[str]:
        """The best of `labels` for each picture."""
        settings = replace(self.task("image_classify").settings, labels=tuple(labels))
        rows = [{"image": image} for image in _list(images)]
        return [p.value for p in self.predict(create("image_classify", settings), rows)]

    def detect(self, images: Picture | Sequence[Picture]) -> list[list[Box]]:
        """The objects in each picture: labeled boxes in pixels of that picture."""
        return self._values("detection", [{"image": image} for image in _list(images)])

    def paint(
        self, texts: str | Sequence[str], samples: int = 24, scorer: Scorer | None = None, seed: int = 0
    ) -> list[Image.Image]:
        """A picture for each text, the best of `samples` that are drawn.

        `scorer` says which is best, for example the `caption_scores` of a network that captions; without one it is the
        most probable.

        Raises:
            OFAError: no VQ-GAN was given.
        """
        if self.vqgan is None:
            raise OFAError(
                "painting needs the VQ-GAN that made the codes of the network's training: "
                "OFA.from_pretrained(path, vqgan=...)"
            )
        painter, task = Painter(self.vqgan, scorer), copy.copy(self.task("image_gen"))
        task.rank = None if scorer is None else painter.rank
        rows = [{"caption": text.lower()} for text in _list(texts)]
        found = [self.predict(task, [row], beam=samples, seed=seed)[0] for row in rows]
        return painter.pictures([prediction.value for prediction in found])

    def caption_scores(self, images: Picture | Sequence[Picture], texts: str | Sequence[str]) -> list[float]:
        """How well each text describes its picture: its mean log-probability (nats a token) as the caption."""
        task, rng = self.task("caption"), random.Random(0)
        rows = _rows(images, caption=texts)
        samples = [task.sample({"uniq_id": str(i)} | row, True, rng) for i, row in enumerate(rows)]
        with torch.inference_mode():
            return log_likelihood(self.net, collate(samples).to(self.device)).tolist() if samples else []

    def summarize(self, texts: str | Sequence[str]) -> list[str]:
        """A headline for each text."""
        return self._values("gigaword", [{"source": text} for text in _list(texts)])

    def task(self, name: str) -> Task:
        """A task with the settings of this model; one that was trained for it in Chinese only gives that."""
        if name not in self._tasks:
            defaults = vocabulary_settings(self.net.config.vocabulary_size)
            known = next((key for key in (name, f"{name}_zh") if key in self._settings), name)
            self._tasks[name] = create(known, defaults | (learned_settings(self._settings, known) or {}))
        return self._tasks[name]

    def predict(
        self, task: Task, rows: Iterable[Mapping[str, Any]], beam: int | None = None, seed: int | None = None
    ) -> list[Prediction]:
        """Predictions of `task` for table rows, in one batch; truth columns may be missing.

        `seed` is that of each row where the task's search draws; None: another one each time.

        Raises:
            OFAError: a row cannot be used, or the task speaks a language whose vocabulary the network does not have.
        """
        task.check_vocabulary(self.net.config.vocabulary_size)
        rng = random.Random(0)
        samples = [task.sample({"uniq_id": str(i)} | dict(row), False, rng) for i, row in enumerate(rows)]
        if not samples:
            return []
        for sample in samples:
            sample.seed = seed
        search = None if beam is None else replace(task.search, beam=beam)
        with torch.inference_mode():
            return task.predict(self.net, collate(samples).to(self.device), search)

    def _values(self, task: str, rows: list[dict[str, Any]], beam: int | None = None) -> list[Any]:
        return [prediction.value for prediction in self.predict(self.task(task), rows, beam)]


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _rows(images: Any, **column: Any) -> list[dict[str, Any]]:
    """Pair pictures with texts; a single picture or text goes with all of the others."""
    (name, texts), pictures = next(iter(column.items())), _list(images)
    texts = _list(texts)
    if len(pictures) == 1:
        pictures *= len(texts)
    if len(texts) == 1:
        texts *= len(pictures)
    if len(pictures) != len(texts):
        raise OFAError(f"{len(pictures)} pictures and {len(texts)} {name}s: give as many of each, or one of either")
    return [{"image": picture, name: text} for picture, text in zip(pictures, texts, strict=True)]
