"""Visual grounding against the original's data set."""

import random

import numpy as np
import pytest
import torch

from ofa.errors import OFAError
from ofa.tasks import Prediction, create
from ofa.tasks.boxes import Bins, Box, Region


@pytest.mark.parametrize("size", [512, 480, 384])
def test_samples_equal_the_original(recorded, rows, compare, size):
    run = f"refcoco_{size}"
    samples = compare(create("refcoco", recorded[run]["kwargs"]), rows("refcoco"), run)
    for sample, theirs in zip(samples, recorded[run]["samples"], strict=True):
        assert sample.reference.box == pytest.approx(theirs["region_coord"])
        ratios = [size / side for side in sample.reference.size]
        assert ratios == pytest.approx([theirs["w_resize_ratio"], theirs["h_resize_ratio"]])


@pytest.mark.parametrize("size", [512, 480, 384, 128])
def test_reading_back_undoes_quantization(rows, size):
    task = create("refcoco", {"patch_image_size": size})
    table = rows("refcoco")
    for i in range(len(table)):
        sample = task.sample(table[i], False, random.Random(0))
        box = task.read(sample.target[:-1].tolist(), sample.reference)
        width, height = sample.reference.size
        half_bin = 512 / 999 / 2 / size
        error = np.abs(np.subtract(box.xyxy, sample.reference.box)) / ([width, height] * 2)
        assert error.max() <= half_bin * 1.001


def test_the_search_is_constrained_to_bins_unless_it_is_the_originals():
    assert create("refcoco").search.constraint_range == (58457, 59457)
    assert create("refcoco", {"constrain": False}).search.constraint_range is None
    chinese = create("refcoco", {"language": "chinese"})
    assert chinese.search.constraint_range == (chinese.tokenizer.bin_offset, chinese.tokenizer.size)


def test_a_box_outside_its_picture_is_an_error(rows):
    row = dict(rows("refcoco")[1])
    for box, message in [
        ("0,0,376,1500", "not inside its picture"),
        ("-9,0,20,30", "not inside its picture"),
        ("5,5,5,9", "empty"),
        ("1,2,3", "four numbers"),
        ("1,2,3,x", "four numbers"),
        ("0,0,nan,9", "four numbers"),
    ]:
        with pytest.raises(OFAError, match=message):
            create("refcoco").sample(row | {"box": box}, True, random.Random(0))


def test_inference_needs_no_box(rows):
    row = {"text": "the dog", "image": rows("refcoco")[0]["image"]}
    sample = create("refcoco").sample(row, False, random.Random(0))
    assert sample.reference.box is None and sample.target.tolist() == [2]


def test_score_counts_hits():
    task = create("refcoco")
    references = [Region((100, 100), (10, 10, 50, 50), "a")] * 2
    found = [Prediction("a", Box(10, 10, 50, 48), 0.0), Prediction("b", Box(60, 60, 90, 90), 0.0)]
    assert task.score(found, references) == {"acc@0.5": 0.5}


def test_bins_agree_with_rounding_half_to_even():
    coordinates = torch.rand(5000, generator=torch.Generator().manual_seed(0)) * 512
    expected = np.rint(coordinates.numpy() / np.float32(512) * np.float32(999)).astype(int).tolist()
    assert Bins().quantize(coordinates) == expected
