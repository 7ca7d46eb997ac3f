"""Text recognition: texts of the original, and where the picture lies in its square."""

import random

import numpy as np
import pytest
import torch
from PIL import Image

from ofa.data.batch import collate
from ofa.errors import OFAError
from ofa.tasks import Prediction, create
from ofa.tasks.ocr import fit
from tests.tasks.recorded import check_sample


def test_samples_equal_the_original(recorded, rows):
    """Random positions included; the second row's text is traditional Chinese, which is a test of its own."""
    task, table = create("ocr"), rows("ocr")
    for i, theirs in enumerate(recorded["ocr_480"]["samples"]):
        ours = task.sample(table[i], True, random.Random(i))
        if i == 1:
            theirs = theirs | {"target": ours.target.tolist(), "prev_output_tokens": ours.previous.tolist()}
        check_sample(ours, theirs)


def test_traditional_characters_are_simplified_on_demand(recorded, rows):
    pytest.importorskip("zhconv")
    ours = create("ocr", {"simplify": True}).sample(rows("ocr")[1], True, random.Random(0))
    assert ours.target.tolist() == recorded["ocr_480"]["samples"][1]["target"]


def test_without_the_package_simplifying_says_what_to_do(rows, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "zhconv", None)
    with pytest.raises(OFAError, match="needs the package zhconv"):
        create("ocr", {"simplify": True}).sample(rows("ocr")[1], True, random.Random(0))


@pytest.mark.parametrize("size", [(300, 40), (40, 300), (200, 200), (64, 64)])
def test_the_aspect_is_kept_and_edges_are_repeated(size):
    pixels = np.random.default_rng(0).integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
    picture = Image.fromarray(pixels)
    image = fit(picture, 256, False, None)
    width, height = (max(64, int(256 * side / max(size))) for side in size)
    top, left = (256 - height) // 2, (256 - width) // 2
    inner = torch.from_numpy(np.array(picture.resize((width, height), Image.Resampling.BICUBIC))).permute(2, 0, 1)
    assert torch.equal(image[:, top : top + height, left : left + width], inner)
    assert (image[:, : top + 1] == image[:, top : top + 1]).all() and (
        image[:, :, : left + 1] == image[:, :, left : left + 1]
    ).all()


def test_documents_are_cut_into_four_lines():
    shades = [10, 60, 110, 160]
    line = np.repeat(np.array(shades, dtype=np.uint8), 256)[None, :, None]
    image = fit(Image.fromarray(np.tile(line, (64, 1, 3))), 256, True, None)
    assert [int(image[0, 32 + 64 * part, 128]) for part in range(4)] == shades


def test_evaluation_is_deterministic_and_training_is_not(rows):
    task, row = create("ocr"), rows("ocr")[0]
    a, b = (task.sample(row, False, random.Random(seed)) for seed in (0, 1))
    assert torch.equal(a.image, b.image) and collate([a, b]).images.shape[0] == 1
    a, b = (task.sample(row, True, random.Random(seed)) for seed in (0, 1))
    assert not torch.equal(a.image, b.image)


def test_chinese(rows):
    task = create("ocr", {"language": "chinese", "max_tgt_length": 3})
    sample = task.sample(dict(rows("ocr")[0]) | {"text": "一二三四"}, False, random.Random(0))
    assert task.read(sample.target[:-1].tolist(), None) == "一二三" == sample.reference


def test_score():
    found = [Prediction("a", "hello world", 0.0), Prediction("b", "abcd", 0.0)]
    assert create("ocr").score(found, ["helloworld", "abxd"]) == {"accuracy": 0.5, "1-NED": pytest.approx(0.875)}
