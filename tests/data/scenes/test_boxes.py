"""Boxes hold exactly what can be seen of the objects."""

import numpy as np
import pytest
from PIL import Image

from ofa.data.scenes import SceneConfig
from ofa.data.scenes.artwork import sprite
from ofa.data.scenes.composition import compose
from ofa.data.scenes.kinds import KINDS


def test_boxes_lie_inside_the_images(scenes):
    for image in scenes.images.values():
        for thing in scenes.objects[image["id"]]:
            left, top, right, bottom = thing["box"]
            assert 0 <= left < right <= image["width"] and 0 <= top < bottom <= image["height"]


def test_files_have_the_sizes_that_the_annotations_say(scenes):
    sizes = set()
    for split, content in scenes.instances.items():
        for record in content["images"]:
            with Image.open(scenes.folder / "images" / split / record["file_name"]) as picture:
                assert picture.format == "JPEG" and picture.size == (record["width"], record["height"])
                sizes.add(picture.size)
    assert sizes == set(SceneConfig().sizes)


@pytest.mark.parametrize("objects", [(1,), (0, 1), (0, 0, 0, 1)])
def test_boxes_are_tight(objects):
    """Everything that differs from a plain background lies in the boxes, and touches each of their sides."""
    config = SceneConfig(objects=objects, backgrounds=("plain",), overlap=0, size_range=(0.28, 0.35))
    for index in range(20):
        scene, picture = compose(config, "train", index)
        pixels = np.asarray(picture, np.int16)
        different = (np.abs(pixels - np.median(pixels.reshape(-1, 3), 0)) > 10).any(2)
        for thing in scene.objects:
            part = different[thing.y0 : thing.y1, thing.x0 : thing.x1]
            rows, columns = np.flatnonzero(part.any(1)), np.flatnonzero(part.any(0))
            margins = (rows[0], columns[0], part.shape[0] - 1 - rows[-1], part.shape[1] - 1 - columns[-1])
            assert max(margins) <= 2, (index, thing)
            different[thing.y0 : thing.y1, thing.x0 : thing.x1] = False
        assert not different.any()


def test_no_object_hides_another():
    """At least three quarters of each object show, though boxes may cover each other by nearly a third."""
    config = SceneConfig(kinds=80, unseen_pairs=0, test_pairs=0, objects=(0, 0, 1, 1, 1), overlap=0.3, mirror=0)
    covered = 0
    for index in range(80):
        scene, _ = compose(config, "train", index)
        for number, thing in enumerate(scene.objects):
            for other in scene.objects[number + 1 :]:
                wide = min(thing.x1, other.x1) - max(thing.x0, other.x0)
                high = min(thing.y1, other.y1) - max(thing.y0, other.y0)
                if wide > 0 and high > 0:
                    covered += 1
                    boxes = [(item.x1 - item.x0) * (item.y1 - item.y0) for item in (thing, other)]
                    assert wide * high <= 0.34 * min(boxes)
            assert thing.area >= 0.75 * whole_area(thing)
    assert covered > 40


def whole_area(thing) -> float:
    """Least area that the object may have had before others were drawn over it, from the share of its box it fills."""
    full = sprite(thing.kind.name, 60, False)
    return 0.9 * full.area / (full.size[0] * full.size[1]) * (thing.x1 - thing.x0) * (thing.y1 - thing.y0)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_kind_fits_into_the_smallest_image(kind, monkeypatch):
    config = SceneConfig(kinds=80, sizes=((64, 96),), objects=(1,), size_range=(0.9, 0.9))
    monkeypatch.setattr(SceneConfig, "used_kinds", (kind,))
    monkeypatch.setattr(SceneConfig, "held_out_pairs", frozenset())
    scene, _ = compose(config, "train", 0)
    assert scene.objects[0].kind == kind and max(scene.objects[0].x1, scene.objects[0].y1) <= 96
