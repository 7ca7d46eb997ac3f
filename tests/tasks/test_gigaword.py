"""Summarization against the original's data set."""

import random

import torch

from ofa.tasks import Prediction, create


def test_samples_equal_the_original_but_for_the_noise(recorded, rows):
    table = rows("gigaword")
    for run in ("gigaword_noise0", "gigaword_noise0.2"):
        task = create("gigaword", recorded[run]["kwargs"] | {"noise_ratio": 0.0})
        for i, theirs in enumerate(recorded[run]["samples"]):
            ours = task.sample(table[i], True, random.Random(0))
            assert ours.source.tolist() == theirs["source"] and ours.target.tolist() == theirs["target"]
            assert ours.previous.tolist() == [0, *theirs["target"][:-1]]
            if run == "gigaword_noise0":
                assert ours.previous.tolist() == theirs["prev_output_tokens"]
            assert ours.reference == theirs["target_str"]


def test_noise_touches_the_decoders_input_alone_and_only_in_training(rows):
    task, row = create("gigaword", {"noise_ratio": 0.2}), dict(rows("gigaword")[0])
    row["target"] = "word " * 60
    clean = task.sample(row, False, random.Random(0))
    assert clean.previous[1:].tolist() == clean.target[:-1].tolist()
    changed = []
    for seed in range(50):
        noisy = task.sample(row, True, random.Random(seed))
        assert torch.equal(noisy.target, clean.target) and noisy.previous[0] == 0
        assert (noisy.previous < task.tokenizer.code_offset).all()
        changed.append((noisy.previous != clean.previous).float().mean().item())
    assert 0.15 < sum(changed) / 50 < 0.25


def test_long_articles_are_cut(rows):
    row = {"source": "unbelievably " * 600, "target": "x"}
    assert len(create("gigaword").sample(row, False, random.Random(0)).source) == 514


def test_reading_writes_digits_as_the_corpus_does():
    task = create("gigaword")
    assert task.read(task.tokenizer.encode("Shares rose 1 . 1 percent ( again )"), None) == (
        "shares rose #.# percent -lrb- again -rrb-"
    )


def test_score():
    task = create("gigaword")
    scores = task.score([Prediction("", "us factory orders", 0.0)], ["us factory orders up"])
    assert scores["ROUGE-1_recall"] == 0.75 and scores["ROUGE-L"] == 2 * 0.75 / 1.75
