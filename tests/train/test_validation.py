"""Selection of the best weights and early stop by a validation metric."""

import csv

import pytest
import torch

from ofa.errors import OFAError
from ofa.train.loop import train
from tests.train import toy


def run(out, scores: dict[int, float], **changes):
    """Train with a validation that looks its score up by the step."""
    config = toy.settings(validate_every=2, best_metric="score", **changes)
    net = toy.network()
    seen: dict[int, dict[str, torch.Tensor]] = {}
    at = [0]

    def validate(measured, pause):
        assert not measured.training
        seen[at[0]] = toy.weights(measured)
        return {"score": scores[at[0]], "other": 1.0}

    def count(step, _):
        at[0] = step

    result = train(net, toy.stream(config), config, out, [count], validate)
    return net, result, seen


def test_the_best_weights_are_delivered(tmp_path):
    net, result, seen = run(tmp_path, {2: 0.1, 4: 0.7, 6: 0.3, 8: 0.7}, steps=8)
    assert (result.best_step, result.metrics["score"], result.steps) == (4, 0.7, 8)
    assert all(torch.equal(value, seen[4][name]) for name, value in net.state_dict().items())


def test_the_average_is_what_is_validated_and_delivered(tmp_path):
    net, result, seen = run(tmp_path, {2: 0.1, 4: 0.7}, steps=4, ema_decay=0.5)
    assert all(torch.equal(value, seen[4][name]) for name, value in net.state_dict().items())


def test_training_stops_when_patience_runs_out(tmp_path):
    _, result, seen = run(tmp_path, {2: 0.5, 4: 0.4, 6: 0.3, 8: 0.9}, steps=8, patience=2)
    assert result.stopped_early and (result.steps, result.best_step) == (6, 2)
    _, again, seen = run(tmp_path, {}, steps=8, patience=2)
    assert again == result and not seen


def test_validations_are_recorded(tmp_path):
    run(tmp_path, {2: 0.1, 4: 0.7}, steps=4)
    with open(tmp_path / "validation.csv", newline="") as file:
        assert [(line["step"], line["score"]) for line in csv.DictReader(file)] == [("2", "0.1"), ("4", "0.7")]


def test_a_metric_that_is_not_measured_is_named(tmp_path):
    config = toy.settings(best_metric="CIDEr", steps=2)
    with pytest.raises(OFAError, match="'CIDEr' is not measured; there are accuracy"):
        train(toy.network(), toy.stream(config), config, tmp_path, validate=lambda net, pause: {"accuracy": 1.0})
