"""Text-to-image against the original's data set."""

import random

import pytest

from ofa.errors import OFAError
from ofa.tasks import Prediction, create
from tests.tasks.recorded import check_sample


def test_samples_equal_the_original(recorded, rows):
    task, table = create("image_gen"), rows("image_gen")
    for i, theirs in enumerate(recorded["image_gen"]["samples"]):
        check_sample(task.sample(table[i], True, random.Random(0)), theirs)


def test_text_alone_is_enough_at_inference(recorded, rows):
    task, table = create("image_gen"), rows("image_gen_text", ("uniq_id", "caption"))
    sample = task.sample(table[0], False, random.Random(0))
    assert sample.source.tolist() == recorded["image_gen_text_only"]["samples"][0]["source"]
    assert sample.code_mask and sample.target.tolist() == [2]


def test_the_number_of_codes_follows_the_size(rows):
    task = create("image_gen", {"code_image_size": 128})
    assert task.search.min_len == task.search.max_len_b == 256
    with pytest.raises(OFAError, match="1024 image codes instead of 256"):
        task.sample(rows("image_gen")[0], True, random.Random(0))


def test_reading_and_score():
    task = create("image_gen")
    codes = task.read([task.tokenizer.code(i) for i in (5, 0, 8191)], None)
    assert codes == [5, 0, 8191]
    assert task.score([Prediction("a", codes, 0.0)], [[5, 1, 8191, 7]]) == {"code_accuracy": 0.5}
