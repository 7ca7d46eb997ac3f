"""A step of pretraining, pictures with texts and all the rest, is the original's; the first reads a draw of patches."""

import csv
import random

import numpy as np
import pytest
import torch

from ofa.checkpoint.names import from_fairseq
from ofa.train.config import TrainConfig
from ofa.train.loop import train
from ofa.train.losses import SequenceLoss
from tests.train.test_sequence_loss import check_gradients


@pytest.fixture(scope="module")
def recorded(golden):
    return np.load(golden / "loss_micro.npz")


@pytest.fixture
def halves(recorded_batch):
    """The two batches, the first with the patches that Python's generator drew for the original."""
    drawn = random.Random(99)
    order = torch.tensor([drawn.sample(range(24 * 24), 196) for _ in range(3)])
    return [recorded_batch("pair/in/0", patch_sample=order), recorded_batch("pair/in/1")]


def test_loss_and_gradients_are_the_originals(recorded, recorded_net, halves):
    objective = SequenceLoss(TrainConfig(steps=20))

    def losses(net, dtype):
        return [objective(net, batch.of_type(dtype), updates=0) for batch in halves]

    def step(dtype):
        net = recorded_net(dtype)
        sum(loss.loss / loss.size for loss in losses(net, dtype)).backward()
        return net

    with torch.no_grad():
        found = losses(recorded_net(), torch.float32)
    assert sum(loss.size for loss in found) == recorded["pretrain_pair_seed99/ntokens"]
    total = sum(loss.loss / loss.size for loss in found).item()
    assert total == pytest.approx(float(recorded["pretrain_pair_seed99/loss"]), rel=1e-5)
    check_gradients(step, recorded, "pretrain_pair_seed99")


class Halves:
    """A stream that gives the two batches in turn, as two groups of sources do."""

    groups = [0, 1]

    def __init__(self, batches):
        self.batches, self.step = batches, 0

    def __iter__(self):
        while True:
            yield self.batches[self.step % 2]
            self.step += 1


def test_the_loop_sums_the_means_of_the_halves(recorded, recorded_net, halves, tmp_path):
    net = recorded_net(freeze_resnet=True)
    settings = dict(precision="fp32", group_average=True, clip_norm=0.0, device="cpu", log_every=1)
    config = TrainConfig(steps=1, batch_size=6, accumulate=2, **settings)
    train(net, Halves(halves), config, tmp_path)
    with open(tmp_path / "history.csv", newline="") as file:
        (step,) = csv.DictReader(file)
    assert float(step["loss"]) == pytest.approx(float(recorded["pretrain_pair_seed99/loss"]), rel=1e-5)
    parameters = dict(net.named_parameters())
    names = [from_fairseq(str(name)) for name in recorded["pretrain_pair_seed99/grad_names"]]
    norms = recorded["pretrain_pair_seed99/grad_norms"][[name in parameters for name in names]]
    assert float(step["gradient_norm"]) == pytest.approx(float(np.sqrt((norms**2).sum())), rel=1e-3)
