"""RandomAugment: what its operations do, and how they are drawn."""

import random

import numpy as np
import pytest
from PIL import Image

from ofa.data.augment import OPERATIONS, random_augment

LEVEL = 0.7


@pytest.fixture(scope="module")
def image() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(40, 200, (60, 80, 3), dtype=np.uint8))


def both_directions(name: str, image: Image.Image) -> list[np.ndarray]:
    results = {OPERATIONS[name](image, LEVEL, random.Random(seed)).tobytes() for seed in range(20)}
    assert len(results) == 2
    return [np.frombuffer(result, np.uint8).reshape(60, 80, 3) for result in results]


def test_translations_shift_by_seven_pixels(image):
    pixels = np.asarray(image)
    left = next(r for r in both_directions("translate_x", image) if (r[:, -7:] == 128).all())
    assert np.array_equal(left[:, :-7], pixels[:, 7:])
    up = next(r for r in both_directions("translate_y", image) if (r[-7:] == 128).all())
    assert np.array_equal(up[:-7], pixels[7:])


@pytest.mark.parametrize("name, axis", [("shear_x", 1), ("shear_y", 0)])
def test_shears_move_lines_in_proportion_to_their_distance(name, axis):
    # A bar across the picture; where it stands in a line tells how far that line moved.
    pixels = np.zeros((60, 80, 3), np.uint8)
    pixels[(slice(None), slice(30, 34)) if axis == 1 else (slice(30, 34), slice(None))] = 255
    for result in both_directions(name, Image.fromarray(pixels)):
        lines = (result[..., 0] if axis == 1 else result[..., 0].T)[:45].astype(float)
        centers = np.array(
            [(line * (line != 128) * np.arange(len(line))).sum() / line[line != 128].sum() for line in lines]
        )
        slope = np.polyfit(np.arange(45), centers, 1)[0]
        assert abs(slope) == pytest.approx(0.21, abs=0.01)


def test_rotation_turns_by_21_degrees_about_the_center():
    pixels = np.full((61, 61, 3), 30, np.uint8)
    pixels[29:32, 10:51] = 255
    for seed in range(4):
        result = np.asarray(OPERATIONS["rotate"](Image.fromarray(pixels), LEVEL, random.Random(seed)))
        rows, columns = np.nonzero(result[..., 0] > 200)
        assert (rows.mean(), columns.mean()) == pytest.approx((30, 30), abs=0.6)
        slope = np.polyfit(columns, rows, 1)[0]
        assert np.degrees(np.arctan(abs(slope))) == pytest.approx(21, abs=1.5)


def test_brightness_and_contrast(image):
    rng, pixels = random.Random(0), np.asarray(image).astype(float)
    brighter = np.asarray(OPERATIONS["brightness"](image, LEVEL, rng))
    assert np.abs(brighter - (pixels * 1.36).clip(0, 255)).max() <= 1
    for name in ("auto_contrast", "equalize"):
        result = np.asarray(OPERATIONS[name](image, LEVEL, rng))
        assert result.min() == 0 and result.max() == 255


def test_the_same_seed_gives_the_same_pixels_and_other_seeds_others(image):
    results = [random_augment(image, random.Random(seed)).tobytes() for seed in [*range(50), *range(50)]]
    assert results[:50] == results[50:]
    assert len(set(results)) > 20


def test_each_operation_is_drawn_and_applied_half_of_the_time(image):
    rng = random.Random(0)
    for name in OPERATIONS:
        changed = sum(random_augment(image, rng, 1, 7, [name]).tobytes() != image.tobytes() for _ in range(200))
        assert 70 < changed < 130 or (name == "identity" and changed == 0)
    unchanged = sum(random_augment(image, rng).tobytes() == image.tobytes() for _ in range(500))
    # Neither drawn operation changes the picture: (0.5 + 0.5 / 10) ** 2.
    assert unchanged / 500 == pytest.approx(0.3025, abs=0.07)
