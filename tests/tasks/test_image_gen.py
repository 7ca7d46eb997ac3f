"""Text-to-image against the original's data set."""

import random

import pytest
import torch

from ofa.data.batch import collate
from ofa.errors import OFAError
from ofa.model import OFAConfig, OFAModel
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


def test_the_search_stays_among_the_codes_of_the_vqgan():
    torch.manual_seed(0)
    net = OFAModel(OFAConfig.preset("nano", d_model=32, ffn_dim=64, code_image_size=16)).eval()
    for codes in (4, 8192):
        task = create("image_gen", {"code_image_size": 16, "vqgan_codes": codes})
        batch = collate([task.sample({"caption": "a dog", "uniq_id": "1"}, False, random.Random(0))])
        with torch.inference_mode():
            (prediction,) = task.predict(net, batch)
        drawn = [
            code for value in (prediction.value, *(value for value, _ in prediction.alternatives)) for code in value
        ]
        assert len(drawn) == 24 * 4 and 0 <= min(drawn) and (max(drawn) < 4) == (codes == 4)
    with pytest.raises(OFAError, match="vqgan_codes must be 1 to 8192, got 0"):
        create("image_gen", {"vqgan_codes": 0})


def test_reading_and_score():
    task = create("image_gen")
    codes = task.read([task.tokenizer.code(i) for i in (5, 0, 8191)], None)
    assert codes == [5, 0, 8191]
    assert task.score([Prediction("a", codes, 0.0)], [[5, 1, 8191, 7]]) == {"code_accuracy": 0.5}
