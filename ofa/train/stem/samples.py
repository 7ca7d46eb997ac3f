"""From rows to samples whose truth is what each cell should say: of all objects, or of the one that a text means."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from ofa.data.batch import NO_TOKENS, Sample
from ofa.data.geometry import flip, stretch
from ofa.data.images import open_image
from ofa.data.transforms import to_tensor
from ofa.errors import OFAError
from ofa.tasks.base import Language
from ofa.tasks.detection import PROMPTS, Detection, DetectionSettings, parse_objects
from ofa.tasks.refcoco import Refcoco, RefcocoSettings
from ofa.train.stem.cells import BACKGROUND, STRIDE, UNKNOWN, Cells, assign


class ObjectCells:
    """Detection rows: the kind and the box of the object in each cell. Pictures are mirrored half of the time."""

    name = "objects"

    def __init__(self, kinds: Sequence[str], image_size: int, vocabulary: Language = "english"):
        self.numbers = {kind: number for number, kind in enumerate(kinds, start=BACKGROUND + 1)}
        self.task = Detection(DetectionSettings(patch_image_size=image_size, vocabulary=vocabulary))
        self.source = self.task.source(self.task.encode(self.task.prompt(PROMPTS)))

    def sample(self, row: Mapping[str, Any], train: bool, rng: random.Random) -> Sample:
        picture = open_image(row["image"])
        boxes, labels = parse_objects(row["boxes"])
        if train and rng.random() < 0.5:
            picture, boxes = flip(picture, boxes)
        side = self.task.settings.patch_image_size
        picture, boxes = stretch(picture, boxes, side, side)
        unknown = sorted(set(labels) - self.numbers.keys())
        if unknown:
            raise OFAError(f"object kind {unknown[0]!r} does not occur in the training table")
        numbers = torch.tensor([self.numbers[label] for label in labels], dtype=torch.long)
        kind, box = assign(boxes / side, numbers, side // STRIDE, side // STRIDE)
        return Sample(
            id=row["uniq_id"],
            source=self.source,
            previous=NO_TOKENS,
            target=NO_TOKENS,
            image=to_tensor(picture),
            reference=Cells(kind=kind, meant=np.full_like(kind, UNKNOWN), box=box),
        )


class RegionCells:
    """Rows of visual grounding: which cells belong to the region that the text describes, and its box."""

    def __init__(self, image_size: int, language: Language = "english", vocabulary: Language = "english"):
        self.name = f"regions/{language}"
        self.task = Refcoco(RefcocoSettings(patch_image_size=image_size, language=language, vocabulary=vocabulary))

    def sample(self, row: Mapping[str, Any], train: bool, rng: random.Random) -> Sample:
        sample = self.task.sample(row, train, rng)
        _, height, width = sample.image.shape
        (picture_width, picture_height), corners = sample.reference.size, sample.reference.box
        box = torch.tensor([corners]) / torch.tensor([picture_width, picture_height] * 2)
        meant, box = assign(box, torch.tensor([1]), height // STRIDE, width // STRIDE)
        cells = Cells(kind=np.full_like(meant, UNKNOWN), meant=meant, box=box)
        return replace(sample, previous=NO_TOKENS, target=NO_TOKENS, reference=cells)


def object_kinds(table: Sequence[Mapping[str, Any]]) -> list[str]:
    """The names of all objects of a detection table, sorted; rows that cannot be read are left to the stream.

    Raises:
        OFAError: there is none.
    """
    kinds: set[str] = set()
    for index in range(len(table)):
        try:
            kinds.update(parse_objects(table[index]["boxes"])[1])
        except OFAError:
            continue
    if not kinds:
        raise OFAError("the detection table holds no object: stem pretraining has nothing to learn from")
    return sorted(kinds)
