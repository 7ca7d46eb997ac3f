"""Crops, flips and resizes of pretraining that move boxes along with the pixels.

Every function takes a PIL picture and float32 boxes (N, 4) of x0, y0, x1, y1 in its pixels, and returns the new picture
and the boxes in the new pixels. Crops clip boxes to the picture. No box is dropped, so that labels stay aligned;
`visible` tells which still have an area. Randomness comes from the given generator alone.
"""

import random
from collections.abc import Sequence

import torch
from PIL import Image, ImageOps
from torch import BoolTensor, FloatTensor

NO_BOXES = torch.zeros(0, 4)
"""For pictures without regions."""

Scene = tuple[Image.Image, FloatTensor]


def visible(boxes: FloatTensor) -> BoolTensor:
    """(N,) whether a box has a positive width and height."""
    return (boxes[:, 2:] > boxes[:, :2]).all(1)


def flip(image: Image.Image, boxes: FloatTensor) -> Scene:
    """Mirror left and right."""
    width = torch.tensor([image.width, 0, image.width, 0])
    return ImageOps.mirror(image), boxes[:, [2, 1, 0, 3]] * torch.tensor([-1, 1, -1, 1]) + width


def stretch(image: Image.Image, boxes: FloatTensor, width: int, height: int) -> Scene:
    """Resize to exactly width x height (bicubic, antialiased)."""
    ratios = (width / image.width, height / image.height)
    return image.resize((width, height), Image.Resampling.BICUBIC), boxes * torch.tensor([*ratios, *ratios])


def random_resize(
    image: Image.Image, boxes: FloatTensor, rng: random.Random, short_sides: Sequence[int], max_side: int
) -> Scene:
    """Resize so that the short side is one of `short_sides`; a long side beyond `max_side` is squeezed to it.

    The original's RandomResize: 384..480 and 672 in pretraining. Beyond `max_side` the aspect is not kept.
    """
    side = rng.choice(short_sides)
    shorter = min(image.size)
    width, height = (side if length == shorter else int(side * length / shorter) for length in image.size)
    return stretch(image, boxes, min(width, max_side), min(height, max_side))


def center_crop(image: Image.Image, boxes: FloatTensor, size: int) -> Scene:
    """Cut out the central square; a smaller picture gets black borders."""
    return _crop(image, boxes, round((image.width - size) / 2), round((image.height - size) / 2), size)


def object_center_crop(image: Image.Image, boxes: FloatTensor, size: int) -> Scene:
    """Cut out the square around the first box, moved inside the picture where it can be.

    Pixels are cut at rounded offsets and boxes shifted by the exact ones, as in the original: its bins depend on it.
    """
    x0, y0, x1, y1 = boxes[0].tolist()

    def offset(center: float, length: int) -> float:
        return max(center - size / 2 + min(length - center - size / 2, 0), 0)

    return _crop(image, boxes, offset((x0 + x1) / 2, image.width), offset((y0 + y1) / 2, image.height), size)


def large_scale_jitter(
    image: Image.Image,
    boxes: FloatTensor,
    rng: random.Random,
    size: int,
    scale: tuple[float, float] = (1.0, 1.5),
) -> Scene:
    """Resize the short side to `size` times a random factor of at least 1, then cut out a random square of `size`."""
    side = round(rng.uniform(*scale) * size)
    factor = side / min(image.size)
    image, boxes = stretch(image, boxes, round(image.width * factor), round(image.height * factor))
    left, top = (rng.randint(0, length - size) for length in image.size)
    return _crop(image, boxes, left, top, size)


def _crop(image: Image.Image, boxes: FloatTensor, left: float, top: float, size: int) -> Scene:
    column, row = round(left), round(top)
    moved = (boxes - torch.tensor([left, top, left, top])).clamp(0, size)
    return image.crop((column, row, column + size, row + size)), moved
