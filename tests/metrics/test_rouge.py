"""ROUGE by hand and by brute force."""

import random
from itertools import combinations

import pytest

from ofa.errors import OFAError
from ofa.metrics.rouge import rouge_l, rouge_n, score, words


def test_words():
    assert words("Don't SHOUT, #.# 3.5!") == ["don", "t", "shout", "3", "5"]


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
