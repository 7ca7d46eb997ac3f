"""The mixture of pretraining."""

import random
from collections import Counter
from itertools import islice

import pytest

from ofa.data.mixing import Stream
from ofa.errors import OFAError
from ofa.settings import build
from ofa.tasks.pretrain import PretrainSettings, sources


@pytest.fixture(scope="module")
def tables(rows):
    return {kind: rows(kind) for kind in ("vision_language", "text", "image", "detection")}


def test_by_default_a_step_has_the_originals_two_halves(tables):
    settings = build(PretrainSettings, {"vision_language": {"matching_ratio": 0}}, "test")
    stream = Stream(sources(tables, settings), batch_size=12)
    assert stream.groups == [0, 1] and stream.counts == [8, 2, 1, 1]
    first, second = islice(stream, 2)
    assert first.images.shape[-1] == 384 and second.images.shape[-1] == 256
    assert second.image_mask.tolist() == [False, False, True, True]
    assert second.code_mask.tolist() == [False, False, True, False]
    assert second.confidence.tolist() == [2.0] * 4
    kinds = Counter(reference.kind for reference in first.references)
    assert kinds["grounding"] == kinds["region_caption"] == 2


def test_one_group_when_all_pictures_have_one_size(tables):
    small = {"patch_image_size": 256, "augment": False, "matching_ratio": 0.0}
    settings = build(PretrainSettings, {"vision_language": small}, "test")
    stream = Stream(sources(tables, settings), batch_size=12)
    batch = next(iter(stream))
    assert stream.groups == [0] and batch.images.shape[-1] == 256
    assert Counter(batch.ids)["det0"] == 1


def test_reading_some_patches_takes_a_group_of_its_own(tables):
    small = {"patch_image_size": 256, "augment": False, "matching_ratio": 0.0, "sample_patch_num": 9}
    settings = build(PretrainSettings, {"vision_language": small}, "test")
    first, second = islice(Stream(sources(tables, settings), batch_size=12), 2)
    assert (first.patch_sample, second.patch_sample) == (9, None)
    assert Counter(second.ids)["det0"] == 1


def test_tables_may_be_missing(tables):
    settings = build(PretrainSettings, {"weights": {"text": 1, "detection": 3}}, "test")
    made = sources({kind: tables[kind] for kind in ("text", "detection")}, settings)
    assert Stream(made, batch_size=8).counts == [2, 6]


def test_unknown_tables_and_missing_weights_are_errors(tables):
    with pytest.raises(OFAError, match="no table 'detektion', did you mean 'detection'"):
        sources({"detektion": tables["detection"]})
    with pytest.raises(OFAError, match="weights lack the table 'text'"):
        sources({"text": tables["text"]}, build(PretrainSettings, {"weights": {"image": 1}}, "test"))


def test_samples_do_not_depend_on_how_often_they_are_asked_for(tables):
    settings = build(PretrainSettings, {"vision_language": {"matching_ratio": 0}}, "test")
    for source in sources(tables, settings):
        a, b = (source.read(0, random.Random(3)) for _ in range(2))
        assert [s.source.tolist() for s in a] == [s.source.tolist() for s in b]
        assert all(x.image is None or x.image.equal(y.image) for x, y in zip(a, b, strict=True))
