"""From a seed to a scene: which objects, how large, where, before which background, and the pixels."""

from dataclasses import dataclass
from itertools import count
from random import Random

import numpy as np
from PIL import Image

from ofa.data.scenes import backgrounds
from ofa.data.scenes.artwork import Sprite, sprite
from ofa.data.scenes.config import SceneConfig
from ofa.data.scenes.kinds import Kind

_FILLED = 0.7  # objects together cover about this share of the picture at most
_VISIBLE = 0.75  # share of an object's pixels that must not be covered
_SHRINK = 0.98  # objects that find no room are tried again at this share of their sizes
_LADDER = 1.05  # objects come in sizes that differ by this factor, so that rasters can be kept


@dataclass(frozen=True)
class Placed:
    """An object in its place. Coordinates are pixels from the top left corner of the image."""

    kind: Kind
    x0: int
    y0: int
    x1: int
    """Right edge, exclusive."""
    y1: int
    """Lower edge, exclusive."""
    area: int
    """Visible pixels of the object itself."""
    center: tuple[float, float]
    """Center of the box as shares of the image's width and height."""


@dataclass(frozen=True)
class Scene:
    """A picture and what is to be seen in it."""

    width: int
    height: int
    background: str
    """Its name, see `backgrounds.paint`."""
    objects: tuple[Placed, ...]
    """From back to front."""


def scene_rng(config: SceneConfig, split: str, index: int, purpose: str) -> Random:
    """The source of everything random about one image, independent of every other image."""
    return Random(f"{config.seed}/{split}/{index}/{purpose}")


def compose(config: SceneConfig, split: str, index: int) -> tuple[Scene, Image.Image]:
    """Make image number `index` of a split.

    Returns:
        The scene and its picture (RGB).
    """
    rng = scene_rng(config, split, index, "picture")
    width, height = rng.choice(config.sizes)
    kinds = _choose_kinds(config, split, rng)
    for attempt in count():  # ends: smaller and smaller objects find room at last
        sprites = _choose_sprites(config, kinds, width, height, _SHRINK**attempt, rng)
        places = _arrange([item.size for item in sprites], width, height, config.overlap, rng)
        if places is None:
            continue
        objects = _visible_parts(kinds, sprites, places, width, height)
        if objects is not None:
            break
    background, picture = backgrounds.paint(config.backgrounds, width, height, rng)
    for item, place in zip(sprites, places, strict=True):
        picture.paste(item.color, place, item.mask)
    return Scene(width, height, background, objects), picture


def _choose_kinds(config: SceneConfig, split: str, rng: Random) -> list[Kind]:
    number = rng.choices(range(1, len(config.objects) + 1), config.objects)[0]
    by_name = {kind.name: kind for kind in config.used_kinds}
    if split == "test_pairs":
        chosen = [by_name[name] for name in rng.choice(sorted(config.held_out_pairs))]
        forbidden: frozenset[tuple[str, str]] = frozenset()
        number = max(number, 2)
    else:
        chosen = [rng.choice(config.used_kinds)]
        forbidden = config.held_out_pairs
    while len(chosen) < number:
        present = {kind.name for kind in chosen}
        if rng.random() < config.repeat:
            chosen.append(rng.choice(chosen))
            continue
        fitting = [
            kind
            for kind in config.used_kinds
            if kind.name not in present and not any(tuple(sorted((kind.name, other))) in forbidden for other in present)
        ]
        chosen.append(rng.choice(fitting or chosen))
    rng.shuffle(chosen)
    return chosen


def _choose_sprites(
    config: SceneConfig, kinds: list[Kind], width: int, height: int, scale: float, rng: Random
) -> list[Sprite]:
    """A picture for each kind, at a size chosen so that all have room; the largest first, to be drawn at the back."""
    side = min(width, height) * scale
    low, high = config.size_range
    high = max(low, min(high, (_FILLED / len(kinds)) ** 0.5))
    sizes = sorted((_on_ladder(side * rng.uniform(low, high)) for _ in kinds), reverse=True)
    return [
        _fitting(kind.name, size, rng.random() < config.mirror, width, height)
        for kind, size in zip(kinds, sizes, strict=True)
    ]


def _fitting(name: str, size: int, mirrored: bool, width: int, height: int) -> Sprite:
    """A picture at this size, or as large as the image allows: a candle is much taller than wide."""
    item = sprite(name, size, mirrored)
    share = min(width / item.size[0], height / item.size[1])
    return item if share >= 1 else sprite(name, int(size * share) - 1, mirrored)


def _on_ladder(size: float) -> int:
    step = 8.0
    while step * _LADDER <= size:
        step *= _LADDER
    return round(step)


def _arrange(
    sizes: list[tuple[int, int]], width: int, height: int, overlap: float, rng: Random
) -> list[tuple[int, int]] | None:
    """Left upper corners so that no box covers more than `overlap` of another, or None where none was found."""
    boxes: list[tuple[int, int, int, int]] = []
    for wide, high in sizes:
        for _ in range(30):
            x, y = rng.randrange(width - wide + 1), rng.randrange(height - high + 1)
            if all(_covered((x, y, x + wide, y + high), box) <= overlap for box in boxes):
                boxes.append((x, y, x + wide, y + high))
                break
        else:
            return None
    return [(x, y) for x, y, _, _ in boxes]


def _covered(a: tuple[int, int, int, int], b: tuple[int, int, int, int]) -> float:
    """The area that two boxes share, over that of the smaller one."""
    wide = min(a[2], b[2]) - max(a[0], b[0])
    high = min(a[3], b[3]) - max(a[1], b[1])
    if wide <= 0 or high <= 0:
        return 0.0
    return wide * high / min((a[2] - a[0]) * (a[3] - a[1]), (b[2] - b[0]) * (b[3] - b[1]))


def _visible_parts(
    kinds: list[Kind], sprites: list[Sprite], places: list[tuple[int, int]], width: int, height: int
) -> tuple[Placed, ...] | None:
    """The objects with the boxes of their visible parts, or None when too much of one is covered."""
    boxes = [(x, y, x + item.size[0], y + item.size[1]) for item, (x, y) in zip(sprites, places, strict=True)]
    objects = []
    for number, (kind, item, box) in enumerate(zip(kinds, sprites, boxes, strict=True)):
        area = item.area
        over = [other for other in range(number + 1, len(boxes)) if _covered(box, boxes[other]) > 0]
        if over:
            canvas = Image.new("L", (width, height))
            canvas.paste(item.mask, box[:2])
            for other in over:
                canvas.paste(0, boxes[other], sprites[other].mask)
            solid = np.asarray(canvas) >= 128
            area = int(solid.sum())
            if area < _VISIBLE * item.area:
                return None
            columns, rows = np.flatnonzero(solid.any(0)), np.flatnonzero(solid.any(1))
            box = (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
        center = ((box[0] + box[2]) / 2 / width, (box[1] + box[3]) / 2 / height)
        objects.append(Placed(kind, *box, area, center))
    return tuple(objects)
