"""Edit distance by its recursive definition and its properties."""

import random
from functools import cache

import pytest

from ofa.metrics.edit_distance import edit_distance, similarity


def by_definition(a, b):
    @cache
    def distance(i, j):
        if not i or not j:
            return i + j
        return min(distance(i - 1, j) + 1, distance(i, j - 1) + 1, distance(i - 1, j - 1) + (a[i - 1] != b[j - 1]))

    return distance(len(a), len(b))


@pytest.mark.parametrize("seed", range(40))
def test_equals_the_definition(seed):
    rng = random.Random(seed)
    a, b = ("".join(rng.choice("abc") for _ in range(rng.randint(0, 9))) for _ in range(2))
    assert edit_distance(a, b) == edit_distance(b, a) == by_definition(a, b)


def test_similarity():
    assert similarity("", "") == 1.0
    assert similarity("abcd", "abxd") == 0.75
    assert similarity("abc", "") == 0.0
