"""ROUGE by hand, by brute force, and as recorded from the package rouge-score 0.1.2 with its stemmer."""

import random
from itertools import combinations

import pytest

from ofa.errors import OFAError
from ofa.metrics.rouge import rouge_l, rouge_n, score, words

RECORDED = [
    (
        "police arrested two men after the robberies",
        "two men were arrested by police following a robbery",
        [0.625, 0.142857142857, 0.375],
        [0.555555555556, 0.125, 0.333333333333],
    ),
    (
        "stocks fall # percent as oil prices rise",
        "stock falls by # percent ; oil price rising",
        [0.857142857143, 0.5, 0.857142857143],
        [0.857142857143, 0.5, 0.857142857143],
    ),
    (
        "u.s. president visits china's capital",
        "american president is visiting the chinese capital",
        [0.428571428571, 0.0, 0.428571428571],
        [0.428571428571, 0.0, 0.428571428571],
    ),
    (
        "the ministers' meetings were cancelled",
        "minister cancels meeting",
        [0.75, 0.0, 0.5],
        [1.0, 0.0, 0.666666666667],
    ),
    (
        "dying skies and tying news",
        "the sky dies , ties are news",
        [0.727272727273, 0.0, 0.545454545455],
        [0.666666666667, 0.0, 0.5],
    ),
    (
        "easily the happiest generalizations",
        "happy generalization , easy",
        [0.285714285714, 0.0, 0.285714285714],
        [0.333333333333, 0.0, 0.333333333333],
    ),
    ("a a a b", "a b a c", [0.75, 0.333333333333, 0.5], [0.75, 0.333333333333, 0.5]),
    ("", "nothing at all", [0.0, 0.0, 0], [0.0, 0.0, 0]),
    ("running runner runs", "ran", [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]),
]
"""Summary, reference, F1 and recall of ROUGE-1, -2 and -L."""


def test_words():
    assert words("Don't SHOUT, #.# 3.5!") == ["don", "t", "shout", "3", "5"]


@pytest.mark.parametrize(("summary", "reference", "f1", "recall"), RECORDED)
def test_numbers_are_those_of_rouge_score(summary, reference, f1, recall):
    overlaps = [rouge_n(summary, reference, 1), rouge_n(summary, reference, 2), rouge_l(summary, reference)]
    assert [overlap.f1 for overlap in overlaps] == pytest.approx(f1, abs=1e-9)
    assert [overlap.recall for overlap in overlaps] == pytest.approx(recall, abs=1e-9)


def test_hand_computed_case():
    summary, reference = "the cat was found under the bed", "the cat was under the bed"
    assert rouge_n(summary, reference, 1).recall == 1.0
    assert rouge_n(summary, reference, 1).precision == pytest.approx(6 / 7)
    assert rouge_n(summary, reference, 2).recall == pytest.approx(4 / 5)
    assert rouge_n(summary, reference, 2).precision == pytest.approx(4 / 6)
    assert rouge_l(summary, reference).recall == 1.0


def test_repeated_words_count_as_often_as_they_occur_in_both():
    assert rouge_n("the the the", "the cat the", 1).precision == pytest.approx(2 / 3)


@pytest.mark.parametrize("seed", range(30))
def test_longest_common_subsequence_by_brute_force(seed):
    rng = random.Random(seed)
    a, b = ([rng.choice("abc") for _ in range(rng.randint(1, 7))] for _ in range(2))
    common = max(n for n in range(len(a) + 1) if {*combinations(a, n)} & {*combinations(b, n)})
    overlap = rouge_l(" ".join(a), " ".join(b))
    assert overlap.recall == pytest.approx(common / len(b)) and overlap.precision == pytest.approx(common / len(a))


def test_means_and_empty_texts():
    scores = score(["a b", ""], ["a b", "c"])
    assert scores["ROUGE-1"] == scores["ROUGE-2"] == scores["ROUGE-L"] == scores["ROUGE-L_recall"] == 0.5
    with pytest.raises(OFAError):
        score(["a"], [])
