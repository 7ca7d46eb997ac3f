"""One object for people who want answers rather than tensors."""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from os import PathLike
from typing import Any

import torch
from PIL.Image import Image

from ofa import checkpoint
from ofa.data.batch import collate
from ofa.errors import OFAError
from ofa.model import OFAConfig, OFAModel
from ofa.tasks import Prediction, Task, create
from ofa.tasks.boxes import Box
from ofa.tasks.store import save_tasks, saved_settings, vocabulary_settings

Picture = str | PathLike | bytes | Image
"""A path, the bytes of a picture file, or a PIL image."""


class OFA:
    """A network together with the tasks it knows.

    Every method takes one picture (or text) or a list, and returns a list. Example:

        model = OFA.from_pretrained("models/caption")
        model.caption(["cat.jpg", "dog.jpg"])
    """

    def __init__(self, net: OFAModel, tasks: Mapping[str, Mapping[str, Any]] | None = None, device: str = "auto"):
        """`tasks` maps task names to the settings that `net` was trained with; others get the original's settings.

        Tasks speak the language of the network's vocabulary unless their settings say otherwise.
        """
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        self.device = torch.device(device)
        self.net = net.to(self.device).eval()
        self._settings = {name: dict(settings) for name, settings in (tasks or {}).items()}
        self._tasks: dict[str, Task] = {}

    @classmethod
    def from_pretrained(cls, path: str | PathLike, device: str = "auto") -> "OFA":
        """Load a folder of ours or a `.pt` file of the original; see `ofa.checkpoint.load`."""
        return cls(checkpoint.load(path), saved_settings(path), device)

    @classmethod
    def from_config(cls, size: str, seed: int = 0, device: str = "auto", **overrides: Any) -> "OFA":
        """A network with random weights; `overrides` change fields of the size's configuration."""
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return cls(OFAModel(OFAConfig.preset(size, **overrides)), device=device)

    def save_pretrained(self, folder: str | PathLike) -> None:
        """Write weights, configuration and task settings; `from_pretrained(folder)` gives the same model."""
        checkpoint.save_folder(folder, self.net)
        save_tasks(folder, {name: self.task(name) for name in self._settings})

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

    def summarize(self, texts: str | Sequence[str]) -> list[str]:
        """A headline for each text."""
        return self._values("gigaword", [{"source": text} for text in _list(texts)])

    def task(self, name: str) -> Task:
        """A task with the settings of this model; one that was trained for it in Chinese only gives that."""
        if name not in self._tasks:
            defaults = vocabulary_settings(self.net.config.vocabulary_size)
            known = next((key for key in (name, f"{name}_zh") if key in self._settings), name)
            self._tasks[name] = create(known, defaults | self._settings.get(known, {}))
        return self._tasks[name]

    def predict(self, task: Task, rows: Iterable[Mapping[str, Any]], beam: int | None = None) -> list[Prediction]:
        """Predictions of `task` for table rows, in one batch; truth columns may be missing.

        Raises:
            OFAError: a row cannot be used, or the task speaks a language whose vocabulary the network does not have.
        """
        task.check_vocabulary(self.net.config.vocabulary_size)
        rng = random.Random(0)
        samples = [task.sample({"uniq_id": str(i)} | dict(row), False, rng) for i, row in enumerate(rows)]
        if not samples:
            return []
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
