"""Bootstrap intervals against cases with a known answer."""

import numpy as np
import pytest

from components.evaluate.bootstrap import bootstrap


def test_interval_of_a_mean_is_the_normal_one():
    values = np.random.default_rng(1).normal(0.3, 2.0, 400)
    found = bootstrap(values, seed=5)
    half = 1.96 * values.std() / np.sqrt(len(values))
    assert found.mean == pytest.approx(values.mean())
    assert found.low == pytest.approx(values.mean() - half, abs=0.03 * 2 * half)
    assert found.high == pytest.approx(values.mean() + half, abs=0.03 * 2 * half)


def test_p_value_is_the_normal_one():
    values = np.random.default_rng(2).normal(0.0, 1.0, 500)
    values += 2.0 * values.std() / np.sqrt(len(values)) - values.mean()  # two standard errors above zero: p = 0.0455
    assert bootstrap(values, seed=1).p_value == pytest.approx(0.0455, abs=0.008)


def test_interval_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(3)
    draws = [bootstrap(rng.binomial(1, 0.7, 200), resamples=400, seed=i) for i in range(300)]
    covered = sum(found.low <= 0.7 <= found.high for found in draws)
    assert 0.91 <= covered / 300 <= 0.98


def test_copies_of_a_picture_add_no_certainty():
    values = np.random.default_rng(4).normal(1.0, 1.0, 100)
    once = bootstrap(values, seed=0)
    copied = bootstrap(np.repeat(values, 5), np.repeat(np.arange(100), 5), seed=0)
    alone = bootstrap(np.repeat(values, 5), seed=0)
    assert (copied.mean, copied.low, copied.high) == pytest.approx((once.mean, once.low, once.high))
    assert alone.high - alone.low < 0.55 * (copied.high - copied.low)


def test_pictures_count_by_their_rows():
    assert bootstrap([1.0, 0.0, 0.0, 0.0], ["a", "b", "b", "b"]).mean == 0.25


def test_no_difference_is_no_evidence():
    found = bootstrap([0.0] * 50)
    assert (found.low, found.high, found.p_value) == (0.0, 0.0, 1.0)


def test_same_seed_same_interval_whatever_the_chunks(monkeypatch):
    values = np.random.default_rng(6).normal(size=97)
    whole = bootstrap(values, seed=3)
    monkeypatch.setattr("components.evaluate.bootstrap._CHUNK", 97 * 100)
    assert bootstrap(values, seed=3) == whole
    assert bootstrap(values, seed=4) != whole


def test_nothing_to_estimate():
    with pytest.raises(ValueError, match="no values"):
        bootstrap([])
