"""Several processes do the same updates as one with the same batch."""

import csv
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import pytest
import torch

from ofa.data.mixing import Source, Stream
from ofa.errors import OFAError
from ofa.train.distributed import World
from ofa.train.loop import train
from ofa.train.losses import SequenceLoss
from tests.train import toy
from tests.train.launch import fork

NETWORK = {"freeze_resnet": True}
"""Batch statistics are each rank's own, so they are left out of the comparison."""
SETTINGS = dict(steps=20, precision="fp32", ema_decay=0.9, keep=5)


def words(**changes) -> list[str]:
    return [f"{key}={json.dumps(value)}" for key, value in (SETTINGS | {"network": NETWORK} | changes).items()]


def torchrun(root, ranks: int, out, **changes) -> int:
    """The launcher's exit code."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}"]
    command = [*launcher, "tests/train/toy.py", str(out), *words(**changes)]
    environment = {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=root, env=environment, timeout=300).returncode


def train_on(ranks: int, out, world: type[World] = World, exitcode: int = 0, **changes) -> None:
    """Train in several processes."""
    fork(ranks, lambda: toy.main(str(out), *words(**changes), world=world.connect("cpu", timeout=60)), exitcode)


def column(out, name: str) -> list[float]:
    with open(out / "history.csv", newline="") as file:
        return [float(line[name]) for line in csv.DictReader(file)]


def weights(out) -> dict[str, torch.Tensor]:
    return torch.load(out / "weights.pt", weights_only=True)


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    """The folder of a run on this process."""
    out = tmp_path_factory.mktemp("one")
    torch.set_num_threads(1)
    toy.main(str(out), *words())
    return out


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """The folder of a run on two processes."""
    out = tmp_path_factory.mktemp("two")
    train_on(2, out)
    return out


def check_same(out, other) -> None:
    assert len(column(out, "loss")) == 20
    assert column(out, "loss") == pytest.approx(column(other, "loss"), abs=1e-4, rel=0)
    assert column(out, "gradient_norm") == pytest.approx(column(other, "gradient_norm"), rel=1e-4)
    for name, value in weights(other).items():
        torch.testing.assert_close(weights(out)[name], value, atol=1e-4, rtol=1e-3, msg=name)


def test_two_processes_follow_the_curve_of_one(one, two):
    check_same(two, one)


def test_four_processes_follow_the_curve_of_one(tmp_path, one):
    train_on(4, tmp_path)
    check_same(tmp_path, one)


@pytest.mark.parametrize("ranks", [2, 4])
def test_sharded_training_follows_the_curve_of_one(tmp_path, one, ranks):
    train_on(ranks, tmp_path, parallel="fsdp", accumulate=2, activation_checkpointing=True)
    check_same(tmp_path, one)


def test_a_sharded_run_goes_on_with_other_ranks(tmp_path, one):
    train_on(2, tmp_path, parallel="fsdp")
    for folder in (tmp_path / "checkpoints").iterdir():
        if folder.name > "step_00000012":
            shutil.rmtree(folder)
    (tmp_path / "weights.pt").unlink()
    toy.main(str(tmp_path), *words())
    check_same(tmp_path, one)


def check_goes_on_exactly(out, undisturbed) -> None:
    """Start an interrupted run again on two processes and compare it with one that was left alone."""
    assert not (out / "weights.pt").exists()
    last = int(column(out, "step")[-1])
    assert (out / "checkpoints" / f"step_{last:08d}").is_dir()
    train_on(2, out)
    assert column(out, "loss") == column(undisturbed, "loss")
    for name, value in weights(undisturbed).items():
        assert torch.equal(weights(out)[name], value), name


def test_two_processes_stop_together_on_sigterm_to_the_launcher_and_go_on_exactly(tmp_path, root, two):
    assert torchrun(root, 2, tmp_path, terminate=[6, "launcher"]) != 0
    assert column(tmp_path, "step")[-1] == 6
    check_goes_on_exactly(tmp_path, two)


@dataclass(frozen=True)
class OneIsAsked(World):
    """A single rank gets SIGTERM right after it exchanged something with the others."""

    asked: ClassVar[int]
    when: ClassVar[tuple[str, int]]
    """Name of the exchange, and how many of the name come before."""
    counts: ClassVar[Counter]

    def meet(self, *arguments):
        return self._signaled("meet", super().meet(*arguments))

    def sum(self, values):
        return self._signaled("sum", super().sum(values))

    def _signaled(self, exchange: str, result):
        if self.rank == self.asked and (exchange, self.counts[exchange]) == self.when:
            signal.raise_signal(signal.SIGTERM)
        self.counts[exchange] += 1
        return result


@pytest.mark.parametrize("asked", [0, 1])
@pytest.mark.parametrize(("when", "last"), [(("sum", 5), 6), (("meet", 6), 7)], ids=["recorded", "agreed"])
def test_both_stop_after_the_same_step_when_one_is_asked_to(tmp_path, two, monkeypatch, asked, when, last):
    # A step begins with what the ranks agree on, stop requests among it, and ends with what is recorded. A request
    # that comes after they agreed must wait for the next step, or one would leave and the other go on without it.
    for name, value in {"asked": asked, "when": when, "counts": Counter()}.items():
        monkeypatch.setattr(OneIsAsked, name, value, raising=False)
    train_on(2, tmp_path, OneIsAsked, exitcode=143)
    assert column(tmp_path, "step")[-1] == last
    check_goes_on_exactly(tmp_path, two)


@dataclass(frozen=True)
class OneIsStalled(World):
    """Rank 1 does not come to the fourth step, until a file tells it to end; the others wait for a second."""

    release: ClassVar[Path]
    steps: ClassVar[Iterator[int]]

    def meet(self, *arguments):
        if next(self.steps) < 3:
            return super().meet(*arguments)
        if self.rank == 1:
            while not self.release.exists():
                time.sleep(0.01)
            os._exit(0)
        return World(self.rank, self.size, self.device, timeout=1).meet(*arguments)


def test_a_stalled_rank_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(OneIsStalled, "release", tmp_path / "message", raising=False)
    monkeypatch.setattr(OneIsStalled, "steps", itertools.count(), raising=False)

    def run() -> None:
        with pytest.raises(OFAError) as raised:
            toy.main(str(tmp_path), *words(), world=OneIsStalled.connect("cpu", timeout=60))
        (tmp_path / "message").write_text(str(raised.value))

    fork(2, run)
    message = (tmp_path / "message").read_text()
    assert message.startswith("step 4, rank 0: rank 1 did not come within 1 s: it is stalled or gone")


class Poisoned(toy.Task):
    """The loss of one row is not a number."""

    def sample(self, row, train, rng):
        sample = super().sample(row, train, rng)
        return replace(sample, confidence=float("nan")) if row["id"] == 20 else sample


def test_the_samples_of_the_rank_whose_loss_is_not_finite_are_named(tmp_path):
    config = toy.settings(steps=20, max_nonfinite=1)

    def run() -> None:
        world = World.connect("cpu", timeout=60)
        with pytest.raises(OFAError) as raised:
            train(toy.network(), toy.stream(config, world, Poisoned()), config, tmp_path, world=world)
        (tmp_path / f"message{world.rank}").write_text(str(raised.value))

    fork(2, run)
    message, other = ((tmp_path / f"message{rank}").read_text() for rank in (0, 1))
    assert message == other
    named = re.search("samples of the last: (.*). Lower lr", message)[1].split(", ")
    assert "row20" in named and len(named) == 4, "half of the batch is the other rank's"


@pytest.mark.parametrize(("ranks", "parts"), [(1, 3), (3, 1), (4, 4)])
def test_a_batch_that_does_not_divide_is_an_error(tmp_path, ranks, parts):
    config = toy.settings(batch_size=8, accumulate=parts)
    world = World(0, ranks, torch.device("cpu"))
    with pytest.raises(OFAError, match=f"batch_size 8 does not divide into {parts} parts on each of {ranks} ranks"):
        train(toy.network(), toy.stream(toy.settings()), config, tmp_path, world=world)


class Generating(SequenceLoss):
    """Weighs samples by what the network says of them in evaluation mode, with batch statistics that training moves."""

    generates = True

    @torch.no_grad()
    def prepare(self, net, batch):
        features = net.eval()(previous_tokens=batch.previous, features_only=True, **batch.inputs())
        return replace(batch, confidence=1 + features.mean(dim=(1, 2)).sigmoid())


def test_what_depends_on_batch_statistics_goes_on_exactly(tmp_path):
    def process(out: Path, stop: bool):
        def main() -> None:
            config = toy.settings(steps=8, precision="fp32")
            world = World.connect("cpu", timeout=60)
            net = toy.network()
            callbacks = [lambda step, _: step == 5 and signal.raise_signal(signal.SIGTERM)] if stop else []
            train(net, toy.stream(config, world), config, out, callbacks, objective=Generating(config), world=world)
            if world.is_main:
                torch.save(toy.weights(net), out / "weights.pt")
            world.disconnect()

        return main

    fork(2, process(tmp_path / "alone", stop=False))
    fork(2, process(tmp_path / "stopped", stop=True), exitcode=143)
    fork(2, process(tmp_path / "stopped", stop=False))
    for name, value in weights(tmp_path / "alone").items():
        assert torch.equal(weights(tmp_path / "stopped")[name], value), name


class Broken(toy.Task):
    """Some rows cannot be used."""

    rows = (3, 11, 20, 42)

    def sample(self, row, train, rng):
        if row["id"] in self.rows:
            raise OFAError("broken")
        return super().sample(row, train, rng)


@pytest.mark.parametrize("limit", [3, 4])
def test_bad_rows_of_all_processes_count_together(tmp_path, caplog, limit):
    config = toy.settings(steps=14)  # every row is read twice, by either process or both

    def run() -> None:
        world = World.connect("cpu", timeout=60)
        source = Source(table=toy.rows(), task=Broken())
        stream = Stream([source], 8, rank=world.rank, world=world.size, max_bad_rows=limit)
        reason = ""
        try:
            train(toy.network(), stream, config, tmp_path / "out", world=world)
        except OFAError as error:
            reason = str(error)
        (tmp_path / f"reason{world.rank}").write_text(reason)
        told = sorted(record.args[0].row for record in caplog.records if record.msg == "bad row: %s")
        (tmp_path / f"told{world.rank}").write_text(json.dumps(told))
        world.disconnect()

    fork(2, run)
    reasons, told = ([(tmp_path / f"{name}{rank}").read_text() for rank in (0, 1)] for name in ("reason", "told"))
    assert reasons[0] == reasons[1]
    assert reasons[0].startswith("4 bad rows, more than max_bad_rows = 3") if limit == 3 else reasons[0] == ""
    assert told == [json.dumps(sorted(Broken.rows)), "[]"]


def test_what_the_ranks_found_comes_together_in_turn(tmp_path):
    def run() -> None:
        world = World.connect("cpu", timeout=60)
        found = world.from_all([f"row{number}" for number in range(5)][world.rank :: world.size])
        (tmp_path / str(world.rank)).write_text(" ".join(found))
        world.disconnect()

    fork(3, run)
    assert {path.read_text() for path in tmp_path.iterdir()} == {"row0 row1 row2 row3 row4"}


def test_without_a_launcher_there_is_one_process_and_nothing_to_spread(tmp_path, monkeypatch, one):
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    assert World.connect("cpu") == World(0, 1, torch.device("cpu"))
    toy.main(str(tmp_path), *words(parallel="fsdp"))
    assert column(tmp_path, "loss") == column(one, "loss")


@pytest.mark.parametrize("parallel", ["ddp", "fsdp"])
def test_a_launched_process_that_is_alone_goes_the_way_of_many(tmp_path, one, parallel):
    train_on(1, tmp_path, parallel=parallel)
    check_same(tmp_path, one)


def test_fewer_gpus_than_processes_are_an_error(monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "2")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(OFAError, match="process 3 of this machine needs a GPU of its own, and there are 2"):
        World.connect("cuda")
