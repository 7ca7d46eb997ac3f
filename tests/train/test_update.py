"""What one update does: accumulation, averages, steps that are not finite."""

import csv

import pytest
import torch

from ofa.errors import OFAError
from ofa.model.layers import EncoderLayer
from ofa.train.loop import train
from ofa.train.losses import SequenceLoss, TokenLoss
from tests.train import toy


def run(out, objective=None, network=None, callbacks=(), **changes):
    config = toy.settings(**changes)
    net = toy.network(**network or {})
    result = train(net, toy.stream(config), config, out, callbacks, objective=objective and objective(config))
    return net, result


def column(out, name: str) -> list[float]:
    with open(out / "history.csv", newline="") as file:
        return [float(line[name]) for line in csv.DictReader(file)]


def test_the_network_learns(tmp_path):
    run(tmp_path, steps=60, precision="fp32", lr=3e-3, schedule="constant")
    losses = column(tmp_path, "loss")
    assert sum(losses[-5:]) < 0.5 * sum(losses[:5])


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_convolutions_of_fp32_are_no_tf32(tmp_path, precision):
    before, seen = torch.backends.cudnn.allow_tf32, []
    callbacks = [lambda *_: seen.append(torch.backends.cudnn.allow_tf32)]
    run(tmp_path, steps=2, precision=precision, callbacks=callbacks)
    assert seen == [before and precision == "bf16"] * 2 and torch.backends.cudnn.allow_tf32 == before


def test_accumulated_parts_give_the_update_of_the_whole_batch(tmp_path):
    network = {"freeze_resnet": True}
    whole, _ = run(tmp_path / "whole", network=network, precision="fp32", steps=5)
    parts, _ = run(tmp_path / "parts", network=network, precision="fp32", steps=5, accumulate=4)
    for name in ("loss", "gradient_norm"):
        assert column(tmp_path / "parts", name) == pytest.approx(column(tmp_path / "whole", name), rel=1e-4)
    for (name, one), other in zip(whole.named_parameters(), parts.parameters(), strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4, msg=name)


def test_the_average_follows_the_weights(tmp_path):
    trail = []
    config = toy.settings(steps=5, ema_decay=0.8)
    net = toy.network()
    expected = {name: value.clone() for name, value in net.state_dict().items()}

    def follow(step, _):
        trail.append(step)
        for name, value in net.state_dict().items():
            mean = 0.8 * expected[name] + 0.2 * value if value.is_floating_point() else value.clone()
            expected[name] = mean

    train(net, toy.stream(config), config, tmp_path, [follow])
    assert trail == [1, 2, 3, 4, 5]
    for name, value in net.state_dict().items():
        torch.testing.assert_close(value, expected[name], atol=1e-6, rtol=1e-5, msg=name)


def broken(steps: set[int]):
    """An objective whose loss is not a number in some steps."""

    class Broken(SequenceLoss):
        def __call__(self, net, batch, updates: int) -> TokenLoss:
            result = super().__call__(net, batch, updates)
            factor = float("nan") if updates + 1 in steps else 1.0
            return TokenLoss(result.loss * factor, result.nll, result.size)

    return Broken


def test_a_step_that_is_not_finite_leaves_no_trace(tmp_path):
    snapshots = {}
    config = toy.settings(steps=4)
    net = toy.network()

    def keep(step, _):
        snapshots[step] = toy.weights(net)

    result = train(net, toy.stream(config), config, tmp_path, [keep], objective=broken({3})(config))
    assert result.skipped == 1
    for name, value in snapshots[2].items():
        assert torch.equal(snapshots[3][name], value), name
    assert any(not torch.equal(snapshots[4][name], value) for name, value in snapshots[3].items())
    assert column(tmp_path, "skipped") == [0, 0, 1, 1]


def test_too_many_steps_that_are_not_finite_stop_the_run_and_name_the_samples(tmp_path):
    with pytest.raises(OFAError, match=r"3 steps in a row, the last of them 4.*samples of the last: row\d+, row\d+"):
        run(tmp_path, objective=lambda config: broken({2, 3, 4})(config), max_nonfinite=3)


def test_scattered_steps_that_are_not_finite_do_not_stop_the_run(tmp_path):
    _, result = run(tmp_path, objective=lambda config: broken({2, 4, 6})(config), max_nonfinite=2)
    assert (result.steps, result.skipped) == (12, 3)


def test_a_full_gpu_says_what_needs_less_memory(tmp_path):
    def full(step: int, _) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")

    with pytest.raises(OFAError, match="^step 2: CUDA out of memory; raise accumulate"):
        run(tmp_path, callbacks=[full])


def test_recomputed_activations_change_nothing(tmp_path, monkeypatch):
    calls = []
    forward = EncoderLayer.forward
    monkeypatch.setattr(EncoderLayer, "forward", lambda *args: calls.append(1) or forward(*args))
    network = {"dropout": 0.1}
    kept, _ = run(tmp_path / "kept", network=network, steps=3)
    assert len(calls) == 3
    again, _ = run(tmp_path / "again", network=network, steps=3, activation_checkpointing=True)
    assert len(calls) == 3 + 2 * 3
    assert column(tmp_path / "again", "loss") == column(tmp_path / "kept", "loss")
    for (name, one), other in zip(kept.named_parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other), name
