"""Text normalization equals the original's."""

import json

import pytest

from ofa.text.cleaning import pre_caption, pre_question, strip_punctuation


@pytest.mark.parametrize("section, clean", [("pre_caption", pre_caption), ("pre_question", pre_question)])
def test_recorded_cases(golden, section, clean):
    cases = json.loads((golden / "dataset/datasets.json").read_text())[section]
    assert len(cases) >= 8
    for case in cases:
        assert clean(case["in"]) == clean(case["in"], 1000) == case["out"]
        assert clean(case["in"], 3) == case["out_max3"]


def test_punctuation_is_removed_and_nothing_else():
    assert strip_punctuation("A man's  “hat”, (red) – $5.") == "A mans  “hat” red – 5"


def test_caption_targets_equal_the_originals(golden):
    from ofa.text import Tokenizer

    recorded = json.loads((golden / "dataset/datasets.json").read_text())["caption_train_480"]["samples"]
    rows = [line.split("\t") for line in (golden / "dataset/data/caption.tsv").read_text().splitlines()]
    for row, sample in zip(rows, recorded, strict=True):
        words = strip_punctuation(row[2]).strip().split()[:20]
        assert Tokenizer.english().encode(" " + " ".join(words)) == sample["target"][:-1]
