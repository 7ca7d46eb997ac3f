"""Classification scores against scikit-learn."""

import random

import pytest
from sklearn import metrics as sklearn

from ofa.errors import OFAError
from ofa.metrics.classification import accuracy, f1, matthews


@pytest.mark.parametrize("seed", range(20))
def test_scores_equal_scikit_learns(seed):
    rng = random.Random(seed)
    n = rng.randint(2, 30)
    truth, found = ([rng.choice(["no", "yes"]) for _ in range(n)] for _ in range(2))
    assert accuracy(found, truth) == pytest.approx(sklearn.accuracy_score(truth, found))
    assert f1(found, truth, "yes") == pytest.approx(sklearn.f1_score(truth, found, pos_label="yes", zero_division=0))
    assert matthews(found, truth, "yes") == pytest.approx(sklearn.matthews_corrcoef(truth, found))


def test_constant_predictions_have_no_correlation():
    assert matthews(["yes"] * 4, ["yes", "no", "no", "yes"], "yes") == 0.0
    assert f1(["no"] * 3, ["no"] * 3, "yes") == 0.0


def test_lengths_must_agree():
    with pytest.raises(OFAError, match="2 predictions cannot be compared with 1"):
        accuracy(["a", "b"], ["a"])
    with pytest.raises(OFAError):
        accuracy([], [])
