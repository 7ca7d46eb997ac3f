"""Several processes do the same updates as one with the same batch."""

import csv
import json
import subprocess
import sys

import pytest
import torch

from ofa.errors import OFAError
from ofa.train.distributed import World
from ofa.train.loop import train
from tests.train import toy

NETWORK = {"freeze_resnet": True}
"""Batch statistics are each rank's own, so they are left out of the comparison."""


def torchrun(root, ranks: int, out, network: dict, **settings) -> None:
    words = [f"{key}={json.dumps(value)}" for key, value in (settings | {"network": network}).items()]
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}"]
    subprocess.run(
        [*launcher, "tests/train/toy.py", str(out), *words],
        cwd=root,
        env={"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"},
        check=True,
        timeout=300,
    )


def column(out, name: str) -> list[float]:
    with open(out / "history.csv", newline="") as file:
        return [float(line[name]) for line in csv.DictReader(file)]


def test_two_processes_follow_the_curve_of_one(tmp_path, root):
    settings = dict(steps=20, precision="fp32")
    config = toy.settings(**settings)
    net = toy.network(**NETWORK)
    train(net, toy.stream(config), config, tmp_path / "one")
    torchrun(root, 2, tmp_path / "two", NETWORK, **settings)
    for name in ("loss", "gradient_norm"):
        assert column(tmp_path / "two", name) == pytest.approx(column(tmp_path / "one", name), abs=1e-4, rel=1e-4)
    two = torch.load(tmp_path / "two" / "weights.pt", weights_only=True)
    for name, value in toy.weights(net).items():
        torch.testing.assert_close(two[name], value, atol=1e-4, rtol=1e-3, msg=name)


def test_a_batch_that_does_not_divide_is_an_error(tmp_path):
    config = toy.settings(batch_size=8, accumulate=3)
    with pytest.raises(OFAError, match="batch_size 8 does not divide into 3 parts on each of 1 ranks"):
        train(toy.network(), toy.stream(toy.settings()), config, tmp_path)


def test_without_a_launcher_there_is_one_process(monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    assert World.connect("cpu") == World(0, 1, torch.device("cpu"))
