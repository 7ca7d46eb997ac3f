"""Text and image infilling against the original's data set, where it is not random."""

import random

import pytest
import torch

from ofa.data.batch import collate
from ofa.errors import OFAError
from ofa.tasks import Prediction, create
from tests.tasks.recorded import check_sample


@pytest.fixture(scope="module", params=["pretrain_train", "pretrain_train_seed100"])
def extras(recorded, request):
    """The samples that the original's eighth row adds: two texts, a picture, a detection."""
    return recorded[request.param]["samples"][7][1]


def test_text_samples_equal_the_original_but_for_the_noise(extras, rows):
    task, table = create("text_infilling", {"confidence": 2.0}), rows("text")
    for i, theirs in enumerate(extras[:2]):
        ours = task.sample(table[i], True, random.Random(i))
        assert ours.target.tolist() == theirs["target"]
        assert ours.previous.tolist() == theirs["prev_output_tokens"]
        assert ours.source[:8].tolist() == theirs["source"][:8] and ours.source[-3:].tolist() == theirs["source"][-3:]
        assert task.tokenizer.mask in ours.source.tolist()
        assert ours.image is None and ours.confidence == 2.0 and ours.id == theirs["id"]


def test_noise_depends_on_the_generator_alone(rows):
    task, row = create("text_infilling"), rows("text")[0]
    first, again, other = (task.sample(row, True, random.Random(seed)).source.tolist() for seed in (1, 1, 2))
    assert first == again != other


def test_image_samples_equal_the_original(extras, rows):
    task = create("image_infilling", {"confidence": 2.0})
    ours = task.sample(rows("image")[0], True, random.Random(0))
    check_sample(ours, extras[2], pixels=True)
    assert ours.confidence == 2.0


def test_the_center_is_hidden(rows):
    sample = create("image_infilling").sample(rows("image")[0], True, random.Random(0))
    image = collate([sample]).images_normalized[0]
    assert image[:, 64:192, 64:192].eq(0).all()
    hidden = torch.zeros(256, 256, dtype=torch.bool)
    hidden[64:192, 64:192] = True
    assert image[:, ~hidden].ne(0).any()


@pytest.mark.parametrize(
    ("codes", "message"),
    [("1 2 3", "3 image codes instead of 256"), ("8192 " * 256, "0..8191"), ("x " * 256, "whole numbers")],
)
def test_bad_codes(rows, codes, message):
    row = dict(rows("image")[0]) | {"codes": codes}
    with pytest.raises(OFAError, match=message):
        create("image_infilling").sample(row, True, random.Random(0))


def test_a_picture_of_another_size_is_an_error(rows):
    row = dict(rows("image")[0]) | {"image": rows("caption")[0]["image"]}
    with pytest.raises(OFAError, match="640x480 pixels, image infilling needs 256x256"):
        create("image_infilling").sample(row, True, random.Random(0))


def test_scores():
    image, text = create("image_infilling"), create("text_infilling")
    codes = image.read([50265, 50266, 50270], None)
    assert image.score([Prediction("a", codes, 0.0)], [[0, 1, 2, 3]]) == {"accuracy": 0.5}
    assert text.score([Prediction("a", "x", 0.0), Prediction("b", "y", 0.0)], ["x", "z"]) == {"exact_match": 0.5}
    assert image.search.min_len == image.search.max_len_b == 256
