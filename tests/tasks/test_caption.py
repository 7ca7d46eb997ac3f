"""Captioning against the original's data set."""

import random

import pytest

from ofa.tasks import create


@pytest.mark.parametrize(
    ("run", "train"),
    [("caption_train_480", True), ("caption_valid_480", False), ("caption_train_scst_256_imagenet", True)],
)
def test_samples_equal_the_original(recorded, rows, compare, run, train):
    task = create("caption", recorded[run]["kwargs"])
    compare(task, rows("caption"), run, train)


def test_references_are_split_and_cleaned(rows):
    sample = create("caption", {"patch_image_size": 64}).sample(rows("caption")[1], False, random.Random(0))
    assert sample.reference == ["a mans doghouse", "A dog", "two dogs"]


def test_generated_text_is_cleaned():
    task = create("caption")
    assert task.read(task.tokenizer.encode(" a man's dog."), None) == "a mans dog"


def test_chinese(rows):
    task = create("caption", {"language": "chinese", "patch_image_size": 64, "max_tgt_length": 4})
    row = dict(rows("caption")[0]) | {"caption": "一只狗在草地上。"}
    sample = task.sample(row, True, random.Random(0))
    assert task.tokenizer.decode(sample.source.tolist()) == "图片描述了什么内容?"
    assert task.read(sample.target.tolist(), None) == "一只狗在"


def test_score_is_largest_for_the_references():
    from ofa.tasks import Prediction

    task = create("caption")
    references = [["a red dog on the grass", "a dog"], ["two cats sleep", "cats"], ["the sun sets", "sun"]]
    right = [Prediction(str(i), texts[0], 0.0) for i, texts in enumerate(references)]
    wrong = [Prediction(str(i), "a car", 0.0) for i in range(3)]
    assert task.score(right, references)["exact_match"] == 1.0
    assert task.score(right, references)["CIDEr"] > task.score(wrong, references)["CIDEr"]
