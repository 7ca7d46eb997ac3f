"""The shuffled order is a permutation without structure."""

import pytest

from ofa.data.shuffle import Shuffle


@pytest.mark.parametrize("n", [1, 2, 3, 16, 17, 255, 1000, 4097])
def test_it_is_a_permutation(n):
    shuffle = Shuffle(n, "key")
    assert sorted(shuffle[i] for i in range(n)) == list(range(n)) and len(shuffle) == n


def test_keys_give_different_orders():
    orders = {tuple(Shuffle(50, f"0/{epoch}")[i] for i in range(50)) for epoch in range(200)}
    assert len(orders) == 200


def test_every_index_reaches_every_place_equally_often():
    n, trials = 8, 8000
    counts = [[0] * n for _ in range(n)]
    for trial in range(trials):
        shuffle = Shuffle(n, str(trial))
        for i in range(n):
            counts[i][shuffle[i]] += 1
    expected = trials / n
    chi_square = sum((count - expected) ** 2 / expected for row in counts for count in row)
    assert chi_square < 90, "49 degrees of freedom: 90 is passed by chance in 3 of 10,000 cases"


def test_neighbors_are_not_kept_together():
    n = 5000
    order = list(Shuffle(n, "k"))
    steps = [abs(a - b) for a, b in zip(order, order[1:], strict=False)]
    assert abs(sum(steps) / len(steps) / n - 1 / 3) < 0.02
    assert sum(step == 1 for step in steps) < 10


def test_a_position_outside_is_an_error():
    with pytest.raises(IndexError):
        Shuffle(5, "k")[5]
