"""A request to stop that comes while the network is measured does not wait for the end of that."""

import csv
import os
import signal
from pathlib import Path

import pytest
import torch

from ofa.train.distributed import World
from ofa.train.loop import Validate, train
from ofa.train.preemption import Preempted
from tests.train import toy
from tests.train.launch import fork

BATCHES = 5


class Measure:
    """A validation in batches whose score goes up and down with the weights; one rank gets SIGTERM in one of them."""

    def __init__(self, world: World, stop_at: int = 0, rank: int = 0):
        self.world, self.stop_at, self.rank = world, stop_at, rank
        self.taken = 0

    def __call__(self, net, pause) -> dict[str, float]:
        for _ in range(BATCHES):
            pause()
            self.taken += 1
            if self.taken == self.stop_at and self.world.rank == self.rank:
                signal.raise_signal(signal.SIGTERM)
        return {"score": float(net.embed_tokens.weight[5].detach().sum().sin())}


def run(out: Path, world: World, measure: Validate, **changes):
    """Validations after steps 3, 6 and 8, checkpoints after 6 and 8."""
    config = toy.settings(steps=8, validate_every=3, checkpoint_every=6, best_metric="score", ema_decay=0.5, **changes)
    net = toy.network(dropout=0.1)
    result = train(net, toy.stream(config, world), config, out, validate=measure, world=world)
    return toy.weights(net), result


def curve(out: Path) -> list[list[str]]:
    with open(out / "validation.csv", newline="") as file:
        return list(csv.reader(file))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("undisturbed")
    return out, run(out, toy.ALONE, Measure(toy.ALONE))


@pytest.mark.parametrize(("stop_at", "step"), [(1, 3), (4, 3), (7, 6), (13, 8)])
def test_it_stops_after_that_batch_and_goes_on_exactly(tmp_path, undisturbed, stop_at, step):
    measure = Measure(toy.ALONE, stop_at)
    with pytest.raises(Preempted) as stopped:
        run(tmp_path, toy.ALONE, measure)
    assert stopped.value.code == 143 and measure.taken == stop_at
    assert (tmp_path / "checkpoints" / f"step_{step:08d}").is_dir()
    weights, result = run(tmp_path, toy.ALONE, Measure(toy.ALONE))
    other, (expected, expected_result) = undisturbed
    assert result == expected_result and curve(tmp_path) == curve(other)
    assert all(torch.equal(value, expected[name]) for name, value in weights.items())
    again = Measure(toy.ALONE)
    assert run(tmp_path, toy.ALONE, again)[1] == expected_result and again.taken == 0


def test_stopped_twice_in_the_same_validation(tmp_path, undisturbed):
    for stop_at in (7, 2):
        with pytest.raises(Preempted):
            run(tmp_path, toy.ALONE, Measure(toy.ALONE, stop_at))
    assert run(tmp_path, toy.ALONE, Measure(toy.ALONE))[1] == undisturbed[1][1]


def test_both_ranks_stop_when_one_is_asked_to(tmp_path):
    def process(out: Path, stop_at: int):
        def main() -> None:
            world = World.connect("cpu", timeout=60)
            measure = Measure(world, stop_at, rank=1)
            try:
                weights, result = run(out, world, measure, parallel="fsdp")
                torch.save((weights, result.metrics), out / f"weights{world.rank}.pt")
            finally:
                (out / f"taken{world.rank}").write_text(str(measure.taken))
                world.disconnect()

        return main

    alone, stopped = tmp_path / "alone", tmp_path / "stopped"
    for folder in (alone, stopped):
        os.mkdir(folder)
    fork(2, process(alone, 0))
    fork(2, process(stopped, 7), exitcode=143)
    assert [(stopped / f"taken{rank}").read_text() for rank in (0, 1)] == ["7", "7"]
    fork(2, process(stopped, 0))
    for rank in (0, 1):
        weights, metrics = torch.load(stopped / f"weights{rank}.pt", weights_only=True)
        expected, expected_metrics = torch.load(alone / f"weights{rank}.pt", weights_only=True)
        assert metrics == expected_metrics
        assert all(torch.equal(value, expected[name]) for name, value in weights.items())
    assert curve(stopped) == curve(alone)
