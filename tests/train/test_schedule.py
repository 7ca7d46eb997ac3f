"""The learning rate's course against the original's scheduler."""

import json

import pytest

from ofa.train.config import TrainConfig
from ofa.train.schedule import learning_rate


def test_polynomial_schedule_is_the_originals(golden):
    for run in json.loads((golden / "lr_schedule.json").read_text()):
        cfg = run["cfg"]
        config = TrainConfig(
            steps=int(cfg["total_num_update"]),
            lr=cfg["lr"][0],
            end_lr=cfg["end_learning_rate"],
            warmup_ratio=cfg["warmup_ratio"],
            warmup_steps=cfg["warmup_updates"] or None,
            power=cfg["power"],
        )
        assert config.total_warmup_steps == cfg["warmup_updates"] or int(config.steps * cfg["warmup_ratio"])
        for updates, expected in run["lr"]:
            assert learning_rate(config, updates) == pytest.approx(expected, rel=1e-12, abs=1e-20), updates


def test_cosine_falls_from_the_peak_through_the_middle_to_the_end():
    config = TrainConfig(steps=110, lr=2.0, end_lr=1.0, schedule="cosine", warmup_steps=10)
    assert learning_rate(config, 5) == pytest.approx(1.0)
    assert learning_rate(config, 10) == pytest.approx(2.0)
    assert learning_rate(config, 60) == pytest.approx(1.5)
    assert learning_rate(config, 110) == pytest.approx(1.0)
    rates = [learning_rate(config, updates) for updates in range(10, 111)]
    assert rates == sorted(rates, reverse=True)


def test_constant_stays_at_the_peak_after_the_warm_up():
    config = TrainConfig(steps=100, lr=3.0, schedule="constant", warmup_steps=4)
    assert [learning_rate(config, updates) for updates in (1, 2, 4, 50, 100)] == pytest.approx([0.75, 1.5, 3, 3, 3])


def test_training_without_warm_up_starts_at_the_peak():
    config = TrainConfig(steps=10, lr=1.0, warmup_ratio=0.0)
    assert learning_rate(config, 0) == 1.0
