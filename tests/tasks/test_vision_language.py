"""Pretraining on pictures with texts against the original's data set, random choices included."""

import random

import pytest
import torch
from PIL import Image

from ofa.data.batch import collate
from ofa.errors import OFAError
from ofa.model import OFAConfig, OFAModel
from ofa.tasks import Prediction, create
from ofa.tasks.boxes import Box, Region
from ofa.tasks.vision_language import Truth
from tests.tasks.recorded import check_sample


@pytest.fixture(scope="module")
def table(rows):
    return rows("vision_language")


@pytest.mark.parametrize(("run", "seed"), [("pretrain_train", 0), ("pretrain_train_seed100", 100)])
def test_training_samples_equal_the_original(recorded, table, negatives, run, seed):
    task = create("vision_language", {"max_src_length": 128, "negatives": negatives})
    for i, (expected, _) in enumerate(recorded[run]["samples"]):
        ours = task.sample(table[i], True, random.Random(seed + i))
        assert len(ours) == len(expected)
        for sample, theirs in zip(ours, expected, strict=True):
            check_sample(sample, theirs, pixels=False)


@pytest.mark.parametrize(("run", "seed"), [("pretrain_train", 0), ("pretrain_train_seed100", 100)])
def test_the_batch_is_the_originals(recorded, table, negatives, run, seed):
    task = create("vision_language", {"max_src_length": 128, "negatives": negatives})
    samples = [sample for i in range(8) for sample in task.sample(table[i], True, random.Random(seed + i))]
    batch, theirs = collate(samples), recorded[run]["collated"][0]
    net_input = theirs["net_input"]
    assert batch.source.tolist() == net_input["src_tokens"]
    assert batch.previous.tolist() == net_input["prev_output_tokens"]
    assert batch.target.tolist() == theirs["target"]
    assert batch.n_tokens == theirs["ntokens"]
    assert batch.confidence.tolist() == pytest.approx(theirs["conf"])
    assert batch.ids == theirs["id"]
    assert list(batch.images_normalized[batch.image_index].shape) == net_input["patch_images"]["shape"]
    assert batch.image_mask.tolist() == net_input["patch_masks"]
    assert batch.code_mask is net_input["code_masks"] is None


def test_samples_of_a_row_share_the_picture(table, negatives):
    task = create("vision_language", {"negatives": negatives})
    samples = [sample for i in range(8) for sample in task.sample(table[i], True, random.Random(i))]
    batch = collate(samples)
    assert len(batch) == 16 and batch.images.shape == (8, 3, 384, 384)
    assert batch.image_index.tolist() == [i // 2 for i in range(16)]


def test_some_patches_are_read_in_training_alone(table, negatives):
    task = create("vision_language", {"negatives": negatives, "patch_image_size": 64, "sample_patch_num": 5})
    for row in (table[0], table[4]):
        assert [s.patch_sample for s in task.sample(row, True, random.Random(0))] == [5, 5]
        assert {s.patch_sample for s in task.sample(row, False, random.Random(0))} == {None}
    net = OFAModel(OFAConfig.preset("nano", encoder_layers=1, decoder_layers=1))
    batch = collate(task.sample(table[0], True, random.Random(0)))
    assert net.encode(**batch.inputs()).states.shape[1] == 5 + batch.source.shape[1]
    with pytest.raises(OFAError, match=r"sample_patch_num must lie in 0..16.* got 17"):
        create("vision_language", {"patch_image_size": 64, "sample_patch_num": 17})


def test_augmentation_differs_from_sample_to_sample(table, negatives):
    task = create("vision_language", {"negatives": negatives})
    first, again, other = (task.sample(table[0], True, random.Random(seed))[0].image for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_without_augmentation_pictures_are_stretched(table, negatives):
    task = create("vision_language", {"negatives": negatives, "augment": False, "patch_image_size": 128})
    plain = create("caption", {"patch_image_size": 128})
    for i in range(8):
        image = task.sample(table[i], True, random.Random(i))[0].image
        assert torch.equal(image, plain.picture(table[i])["image"])


def test_evaluation_is_deterministic_and_has_no_matching(table):
    task = create("vision_language", {"patch_image_size": 128})
    kinds = [[s.reference.kind for s in task.sample(table[i], False, random.Random(i))] for i in range(8)]
    assert kinds == [["caption"]] * 2 + [["qa"]] * 2 + [["grounding", "region_caption"]] * 2 + [["caption"]] * 2
    a, b = (task.sample(table[4], False, random.Random(seed))[0] for seed in (0, 1))
    assert torch.equal(a.image, b.image) and a.target.tolist() == b.target.tolist()


def test_in_evaluation_a_row_gives_its_second_sample_whenever_training_ever_does(table, negatives):
    settings = {"patch_image_size": 64, "negatives": negatives, "evaluate_matching": True}
    seldom = {"matching_ratio": 0.01, "region_caption_ratio": 0.01}
    for changes, count in ((seldom, 16), ({"matching_ratio": 0.0, "region_caption_ratio": 0.0}, 8)):
        task = create("vision_language", settings | changes)
        assert sum(len(task.sample(table[i], False, random.Random(i))) for i in range(8)) == count


def test_reading_a_box_back(table):
    task = create("vision_language", {"patch_image_size": 384})
    sample = task.sample(table[4], False, random.Random(0))[0]
    box = task.read(sample.target[:-1].tolist(), sample.reference)
    assert box.xyxy == pytest.approx((100.5, 50.25, 300, 400), abs=0.5)


def test_ratios(table, negatives):
    settings = {"negatives": negatives, "patch_image_size": 64, "augment": False}

    def count(**changes) -> tuple[int, int, int]:
        task = create("vision_language", settings | changes)
        answers = {0: "", 3: "1|!+2", 4: "1,1,20,20"}
        rows = [dict(table[i]) | {"image": Image.new("RGB", (64, 64)), "answers": answers[i]} for i in answers]
        truths = [s.reference for i in range(200) for row in rows for s in task.sample(row, True, random.Random(i))]
        matching = [truth.value for truth in truths if truth.kind == "matching"]
        return len(matching), matching.count("yes"), sum(truth.kind == "region_caption" for truth in truths)

    assert count(matching_ratio=0.0, region_caption_ratio=0.0, negatives=None) == (0, 0, 0)
    total, yes, regions = count(matching_ratio=0.5, positive_ratio=0.25, region_caption_ratio=0.2)
    assert 160 < total < 240 and 0.15 < yes / total < 0.35 and 20 < regions < 60
    assert count(positive_ratio=1.0)[:2] == (400, 400)


def test_matching_without_negatives_is_an_error(table):
    with pytest.raises(OFAError, match="set negatives, or matching_ratio to 0"):
        create("vision_language").sample(table[0], True, random.Random(0))


def test_an_unknown_type_is_an_error(table, negatives):
    row = dict(table[0]) | {"type": "captoin"}
    with pytest.raises(OFAError, match="'captoin' is not caption, qa or visual_grounding"):
        create("vision_language", {"negatives": negatives}).sample(row, True, random.Random(0))


def test_score_by_kind():
    task = create("vision_language")
    cases = [
        (Truth("caption", "a dog"), "a dog"),
        (Truth("caption", "a cat"), "a dog"),
        (Truth("qa", {"red": 0.6}), "red"),
        (Truth("matching", "yes"), "no"),
        (Truth("grounding", Region((50, 50), (0, 0, 10, 10), "x")), Box(0, 0, 10, 9)),
    ]
    found = [Prediction(str(i), value, 0.0) for i, (_, value) in enumerate(cases)]
    assert task.score(found, [truth for truth, _ in cases]) == {
        "caption/exact_match": 0.5,
        "grounding/acc@0.5": 1.0,
        "matching/accuracy": 0.0,
        "qa/accuracy": 0.6,
    }


def test_chinese(table, negatives):
    settings = {"language": "chinese", "negatives": negatives, "patch_image_size": 64, "augment": False}
    task = create("vision_language", settings)
    row = dict(table[0]) | {"caption": "一只狗", "objects": ""}
    describe, match = task.sample(row, True, random.Random(3))
    assert task.read(describe.target.tolist(), describe.reference) == "一只狗"
    assert task.tokenizer.decode(match.target.tolist()) in ("是", "否")
