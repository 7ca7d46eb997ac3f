"""Detection: targets of the original where nothing is random, reading back, and the score by brute force."""

import random
from itertools import permutations

import pytest

from ofa.data.batch import collate
from ofa.errors import OFAError
from ofa.metrics.detection import f1
from ofa.metrics.grounding import iou
from ofa.tasks import create
from ofa.tasks.boxes import Box
from ofa.tasks.detection import parse_objects


@pytest.fixture(scope="module")
def row(rows):
    return rows("detection")[0]


def test_source_and_labels_equal_the_original(recorded, row):
    theirs = recorded["pretrain_train"]["samples"][7][1][3]
    task = create("detection", {"confidence": 2.0})
    for seed in range(20):
        sample = task.sample(row, True, random.Random(seed))
        assert sample.source.tolist() == theirs["source"] and sample.confidence == theirs["conf"][0]
        tokens = sample.target.tolist()
        assert sample.image.shape == (3, 256, 256) and sample.id == theirs["id"]
        names = [task.tokenizer.decode([t]) for t in tokens[:-1] if not task.tokenizer.is_bin(t)]
        assert "".join(names) in {
            "".join(combination)
            for n in range(4)
            for combination in permutations((" Person", " Dog house", " Tiny"), n)
            if list(combination) == sorted(combination, key=(" Person", " Dog house", " Tiny").index)
        }
        assert max(t - task.tokenizer.bin_offset for t in tokens) <= 500, "256 of 512 pixels"


def test_augmentation_can_be_switched_off(row):
    task = create("detection", {"augment": False, "patch_image_size": 128})
    a, b = (task.sample(row, train, random.Random(seed)) for train, seed in ((True, 0), (False, 1)))
    assert a.target.tolist() == b.target.tolist()
    assert collate([a, b]).images.shape[0] == 1


def test_reading_back(row):
    task = create("detection", {"augment": False})
    sample = task.sample(row, False, random.Random(0))
    found = task.read(sample.target[:-1].tolist(), sample.reference)
    assert [box.label for box in found] == ["Person", "Dog house", "Tiny"]
    for ours, true in zip(found, sample.reference.boxes, strict=True):
        assert ours.xyxy == pytest.approx(true.xyxy, abs=0.7)
    assert task.score([type("P", (), {"value": found})], [sample.reference])["f1@0.5"] == 1.0


def test_malformed_output_is_left_out(row):
    task = create("detection", {"augment": False})
    reference = task.sample(row, False, random.Random(0)).reference
    dog = task.tokenizer.encode(" dog")
    bins = [task.tokenizer.bin(i) for i in (0, 0, 300, 300)]
    assert [box.label for box in task.read([*dog, *bins[:3], *dog, *bins, *dog], reference)] == ["dog"]
    assert task.read([*bins[2:], *bins[:2], *dog], reference) == [], "an empty box"
    assert task.read([], reference) == []


def test_objects_beyond_the_limit_are_left_out_whole(row):
    task = create("detection", {"augment": False, "max_tgt_length": 6})
    assert len(task.sample(row, True, random.Random(0)).target) == 6


def test_rows_without_objects(row):
    sample = create("detection").sample(dict(row) | {"boxes": ""}, True, random.Random(0))
    assert sample.target.tolist() == [2]


@pytest.mark.parametrize("text", ["1,2,3,4", "1,2,3,4,5", "a,2,3,4,5,dog", "5,5,5,9,1,dog"])
def test_malformed_objects_are_an_error(text):
    with pytest.raises(OFAError):
        parse_objects(text)


def test_a_name_may_hold_commas():
    assert parse_objects("0,0,2,2,1,dog, small")[1] == ["dog, small"]


def test_f1_of_hand_made_cases():
    a, b, far = Box(0, 0, 10, 10, "a"), Box(0, 0, 10, 10, "b"), Box(50, 50, 60, 60, "a")
    assert f1([[a]], [[a]]) == 1.0
    assert f1([[b]], [[a]]) == 0.0
    assert f1([[a, a]], [[a]]) == pytest.approx(2 / 3), "a true object counts once"
    assert f1([[a], []], [[a], [far]]) == pytest.approx(2 / 3)
    assert f1([[]], [[]]) == 1.0


def test_f1_is_at_most_the_best_assignment():
    rng = random.Random(0)
    for _ in range(100):
        found, truth = ([Box(x, 0, x + 10, 10, "a") for x in rng.sample(range(30), 3)] for _ in range(2))
        best = max(sum(iou([f.xyxy for f in order], [t.xyxy for t in truth]) >= 0.5) for order in permutations(found))
        assert best - 1 <= 3 * f1([found], [truth]) <= best
