"""Boxes and captions on a picture, for people to look at."""

import numpy as np
import pytest
from PIL import Image

from ofa.data.draw import COLORS, Mark, draw

RED = (255, 0, 0)


@pytest.fixture
def image() -> Image.Image:
    return Image.new("RGB", (300, 200), (200, 220, 240))


def where(image: Image.Image, color: tuple[int, int, int]) -> list[int]:
    rows, columns = np.nonzero((np.asarray(image) == color).all(-1))
    return [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


def test_an_outline_is_drawn_just_inside_the_box(image):
    before = image.copy()
    drawn = draw(image, [Mark((40, 60, 120, 150), color="red")])
    assert where(drawn, RED) == [40, 60, 120, 150]
    assert drawn.getpixel((80, 100)) == (200, 220, 240)
    assert image == before


def test_a_box_is_seen_on_a_ground_of_its_own_color():
    drawn = draw(Image.new("RGB", (300, 200), "red"), [Mark((40, 60, 120, 150), color="red")])
    x0, y0, x1, y1 = where(drawn, (255, 255, 255))
    assert 40 <= x0 <= 44 and 60 <= y0 <= 64 and 116 <= x1 <= 120 and 146 <= y1 <= 150


def test_enlarging_moves_boxes_along(image):
    drawn = draw(image.resize((30, 20)), [Mark((4, 6, 12, 15), color="red")], min_side=200)
    assert drawn.size == (300, 200) and where(drawn, RED) == [40, 60, 120, 150]


def test_boxes_take_different_colors(image):
    drawn = draw(image, [Mark((10 * n, 10, 10 * n + 9, 30)) for n in range(4)])
    colors = {color for _, color in drawn.getcolors()}
    assert {tuple(bytes.fromhex(color[1:])) for color in COLORS[:4]} < colors


@pytest.mark.parametrize("box", [(0, 0, 20, 20), (280, 180, 300, 200), (150, 5, 290, 90), (-30, -30, 10, 10)])
def test_labels_stay_inside_the_picture_and_are_readable(image, box):
    drawn = draw(image, [Mark(box, "red apple 0.87", "red")])
    assert drawn.size == image.size
    x0, y0, x1, y1 = where(drawn, RED)
    assert x1 - x0 >= 60 and y1 - y0 >= 12
    pixels = np.asarray(drawn)
    white_on_red = (pixels[..., 0] == 255) & (pixels[..., 1] > 128)
    assert white_on_red.sum() > 20


@pytest.mark.parametrize("box", [(100, 50, 20, 10), (30, 30, 30, 30), (400, 300, 500, 400)])
def test_odd_boxes_do_not_stop_a_report(image, box):
    assert draw(image, [Mark(box, "odd")]).size == image.size


def test_captions_wrap_below_the_picture(image):
    short, long = draw(image, caption="a dog"), draw(image, caption="a very long caption " * 12 + "word" * 60)
    two = draw(image, caption="one\ntwo")
    assert image.height < short.height < two.height < long.height
    for drawn in (short, two, long):
        assert drawn.width == image.width
        assert np.array_equal(np.asarray(drawn)[: image.height], np.asarray(image))
        strip = np.asarray(drawn)[image.height :]
        assert (strip[:, :5] == 255).all() and (strip[:, -3:] == 255).all() and (strip < 100).any()


@pytest.mark.parametrize("mode", ["L", "RGBA", "P"])
def test_pictures_of_any_mode(image, mode):
    assert draw(image.convert(mode), [Mark((0, 0, 50, 50), "狗")], "一只狗").mode == "RGB"
