"""Image classification against the original's data set."""

import random

import pytest
import torch
from PIL import Image

from ofa.tasks import Prediction, create
from ofa.tasks.image_classify import erase, random_resized_crop
from tests.tasks.recorded import check_sample


@pytest.fixture(scope="module")
def names(recorded):
    return [*recorded["trie_candidates"], "rugby ball"]


def test_samples_equal_the_original(recorded, rows, names):
    run = "image_classify_val_480"
    task, table = (
        create("image_classify", recorded[run]["kwargs"] | {"labels": names}),
        rows("image_classify"),
    )
    for i, theirs in enumerate(recorded[run]["samples"]):
        ours = task.sample(table[i], False, random.Random(0))
        check_sample(ours, {key: value for key, value in theirs.items() if key != "id"})
        assert ours.reference == next(iter(theirs["ref_dict"]))


def test_training_pictures_are_augmented_and_reproducible(rows, names):
    task = create("image_classify", {"labels": names, "patch_image_size": 64})
    row = rows("image_classify")[0]
    first, again, other = (task.sample(row, True, random.Random(seed)).image for seed in (1, 1, 2))
    assert first.shape == (3, 64, 64) and first.dtype == torch.uint8
    assert torch.equal(first, again) and not torch.equal(first, other)
    plain = create("image_classify", {"patch_image_size": 64, "augment": False})
    assert torch.equal(
        plain.sample(row, True, random.Random(1)).image, plain.sample(row, False, random.Random(2)).image
    )


def test_crops_cover_the_stated_share_of_the_picture():
    gradient = Image.linear_gradient("L").resize((200, 100)).convert("RGB")
    shares = []
    for seed in range(300):
        crop = random_resized_crop(gradient, 32, random.Random(seed))
        low, high = crop.getextrema()[0]
        shares.append((high - low) / 255)
    assert min(shares) < 0.45 and max(shares) > 0.9


def test_erasing_changes_a_rectangle_alone():
    sizes = []
    for seed in range(200):
        image = erase(torch.zeros(3, 40, 60, dtype=torch.uint8), random.Random(seed))
        changed = image.ne(0).any(0)
        ys, xs = changed.nonzero().unbind(1)
        area = (ys.max() - ys.min() + 1) * (xs.max() - xs.min() + 1)
        assert changed.sum() > 0.9 * area
        sizes.append(int(area) / 2400)
    assert 0.015 < min(sizes) and max(sizes) < 0.36


def test_score_counts_the_first_and_the_first_five():
    task = create("image_classify")
    found = [
        Prediction("a", "cat", 0.0, (("dog", -1.0), ("fox", -2.0))),
        Prediction("b", "cat", 0.0, tuple((str(i), -1.0) for i in range(5))),
    ]
    assert task.score(found, ["dog", "4"]) == {"top1": 0.0, "top5": 0.5}
    assert task.score(found, ["cat", "3"]) == {"top1": 0.5, "top5": 1.0}
