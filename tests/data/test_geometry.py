"""Boxes stay on their pixels, whatever happens to the picture."""

import json
import random
import shutil

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from ofa.data import TABLES, Table
from ofa.data.geometry import (
    NO_BOXES,
    center_crop,
    flip,
    large_scale_jitter,
    object_center_crop,
    random_resize,
    stretch,
    visible,
)
from ofa.data.images import decode


def painted(width: int, height: int, box: tuple[int, int, int, int]) -> Image.Image:
    """A gray picture with a red rectangle that fills the box."""
    image = Image.new("RGB", (width, height), (90, 90, 90))
    ImageDraw.Draw(image).rectangle((box[0], box[1], box[2] - 1, box[3] - 1), fill=(255, 0, 0))
    return image


def find(image: Image.Image) -> list[float]:
    """The box of the red pixels."""
    pixels = np.asarray(image).astype(int)
    rows, columns = np.nonzero(pixels[..., 0] - pixels[..., 1] > 82)
    return [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1] if len(rows) else []


TRANSFORMS = {
    "flip": lambda image, boxes, rng: flip(image, boxes),
    "stretch": lambda image, boxes, rng: stretch(image, boxes, 97, 131),
    "random_resize": lambda image, boxes, rng: random_resize(image, boxes, rng, range(60, 90), 110),
    "center_crop": lambda image, boxes, rng: center_crop(image, boxes, 64),
    "object_center_crop": lambda image, boxes, rng: object_center_crop(image, boxes, 48),
    "large_scale_jitter": lambda image, boxes, rng: large_scale_jitter(image, boxes, rng, 64),
}


@st.composite
def scenes(draw):
    width, height = draw(st.integers(40, 160)), draw(st.integers(40, 160))
    x0, y0 = draw(st.integers(0, width - 10)), draw(st.integers(0, height - 10))
    x1, y1 = draw(st.integers(x0 + 10, width)), draw(st.integers(y0 + 10, height))
    return width, height, (x0, y0, x1, y1)


@pytest.mark.parametrize("name", TRANSFORMS)
@settings(max_examples=60, deadline=None)
@given(scene=scenes(), seed=st.integers(0, 1000))
def test_the_box_is_where_the_paint_is(name, scene, seed):
    width, height, box = scene
    image, boxes = TRANSFORMS[name](painted(*scene), torch.tensor([box], dtype=torch.float32), random.Random(seed))
    found, moved = find(image), boxes[0].tolist()
    assert boxes.dtype == torch.float32
    assert 0 <= moved[0] <= moved[2] <= image.width + 1e-4 and 0 <= moved[1] <= moved[3] <= image.height + 1e-4
    if found:
        assert np.abs(np.subtract(found, moved)).max() <= 1.01
    else:
        assert min(moved[2] - moved[0], moved[3] - moved[1]) <= 1


def test_flipping_twice_is_nothing():
    image, boxes = painted(50, 40, (5, 6, 20, 30)), torch.tensor([[5.0, 6, 20, 30], [0, 0, 50, 40]])
    again, same = flip(*flip(image, boxes))
    assert torch.equal(same, boxes) and np.array_equal(np.asarray(again), np.asarray(image))


@pytest.mark.parametrize("size", [(300, 200), (200, 300), (100, 100), (1000, 100)])
def test_random_resize_follows_the_originals_rule(size):
    rng = random.Random(0)
    sizes = {random_resize(Image.new("RGB", size), NO_BOXES, rng, range(96, 120), 168)[0].size for _ in range(100)}
    ratio = max(size) / min(size)
    for width, height in sizes:
        assert min(width, height) in range(96, 120)
        assert max(width, height) == min(int(min(width, height) * ratio), 168)
    assert len(sizes) > 15


def test_crops_have_the_size_and_borders_are_black():
    image, boxes = center_crop(Image.new("RGB", (20, 100), (255, 255, 255)), torch.tensor([[0.0, 0, 20, 100]]), 64)
    assert image.size == (64, 64) and boxes.tolist() == [[22, 0, 42, 64]]
    assert not np.asarray(image)[:, :22].any() and np.asarray(image)[:, 22:42].all()


def test_the_object_crop_contains_its_object():
    for box in ((0, 0, 30, 30), (170, 70, 200, 100), (90, 40, 110, 60)):
        _, boxes = object_center_crop(painted(200, 100, box), torch.tensor([box], dtype=torch.float32), 64)
        x0, y0, x1, y1 = boxes[0].tolist()
        assert (x1 - x0, y1 - y0) == (box[2] - box[0], box[3] - box[1])


def test_jitter_scales_within_its_range_and_can_lose_objects():
    image, boxes = Image.new("RGB", (200, 100)), torch.tensor([[50.0, 25, 60, 35], [190, 90, 200, 100]])
    rng, widths, kept = random.Random(1), [], []
    for _ in range(300):
        picture, moved = large_scale_jitter(image, boxes, rng, 64, (1.0, 1.5))
        assert picture.size == (64, 64)
        kept.append(visible(moved).tolist())
        x0, _, x1, _ = moved[0].tolist()
        if 0 < x0 and x1 < 64:
            widths.append(x1 - x0)
    assert 6.3 < min(widths) < 6.6 and 9.4 < max(widths) < 9.7
    assert [True, False] in kept and [False, True] in kept


def test_grounding_bins_of_pretraining_equal_the_originals(golden, tmp_path):
    cases = json.loads((golden / "dataset/datasets.json").read_text())
    shutil.copy(golden / "dataset/data/vision_language.tsv", tmp_path)
    table = Table(tmp_path / "vision_language.tsv", TABLES["vision_language"])
    for case, seed in (("pretrain_train", 0), ("pretrain_train_seed100", 100)):
        for number in (4, 5):
            box = torch.tensor([[float(value) for value in table[number]["answers"].split(",")]])
            scene = random_resize(
                decode(table[number]["image"]), box, random.Random(seed + number), range(384, 481), 672
            )
            image, boxes = object_center_crop(*scene, 384)
            bins = (boxes[0] / 512 * 999).round().int() + 58457
            expected = cases[case]["samples"][number][0][0]
            assert bins.tolist() == expected["target"][:4]
            assert list(image.size) == expected["patch_image"]["shape"][1:]
