"""Several processes do the same updates as one with the same batch."""

import csv
import json
import multiprocessing
import os
import shutil
import signal
import socket
import subprocess
import sys
import time

import pytest
import torch

from ofa.errors import OFAError
from ofa.train.distributed import World
from ofa.train.loop import train
from tests.train import toy

NETWORK = {"freeze_resnet": True}
"""Batch statistics are each rank's own, so they are left out of the comparison."""
SETTINGS = dict(steps=20, precision="fp32", ema_decay=0.9, keep=5)


def words(**changes) -> list[str]:
    return [f"{key}={json.dumps(value)}" for key, value in (SETTINGS | {"network": NETWORK} | changes).items()]


def torchrun(root, ranks: int, out) -> subprocess.Popen:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}"]
    command = [*launcher, "tests/train/toy.py", str(out), *words()]
    return subprocess.Popen(command, cwd=root, env={"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"})


def fork(ranks: int, out, **changes) -> None:
    """What torchrun does, without importing torch anew in every process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = {"WORLD_SIZE": str(ranks), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}

    def rank(number: int) -> None:
        os.environ.update(common, RANK=str(number), LOCAL_RANK=str(number))
        torch.set_num_threads(1)
        toy.main(str(out), *words(**changes))

    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=rank, args=(number,)) for number in range(ranks)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout=300)
        assert process.exitcode == 0


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
    fork(2, out)
    return out


def check_same(out, other) -> None:
    for name in ("loss", "gradient_norm"):
        assert column(out, name) == pytest.approx(column(other, name), abs=1e-4, rel=1e-4)
    for name, value in weights(other).items():
        torch.testing.assert_close(weights(out)[name], value, atol=1e-4, rtol=1e-3, msg=name)


def test_two_processes_follow_the_curve_of_one(one, two):
    check_same(two, one)


@pytest.mark.parametrize("ranks", [2, 4])
def test_sharded_training_follows_the_curve_of_one(tmp_path, one, ranks):
    fork(ranks, tmp_path, parallel="fsdp", accumulate=2, activation_checkpointing=True)
    check_same(tmp_path, one)


def test_a_sharded_run_goes_on_with_other_ranks(tmp_path, one):
    fork(2, tmp_path, parallel="fsdp")
    for folder in (tmp_path / "checkpoints").iterdir():
        if folder.name > "step_00000012":
            shutil.rmtree(folder)
    (tmp_path / "weights.pt").unlink()
    toy.main(str(tmp_path), *words())
    check_same(tmp_path, one)


def test_two_processes_stop_together_on_sigterm_and_go_on_exactly(tmp_path, root, two):
    process = torchrun(root, 2, tmp_path)
    deadline = time.monotonic() + 300
    while not (tmp_path / "history.csv").exists() or len(column(tmp_path, "step")) < 6:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.002)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=300) != 0
    assert not (tmp_path / "weights.pt").exists()
    last = int(column(tmp_path, "step")[-1])
    assert (tmp_path / "checkpoints" / f"step_{last:08d}").is_dir()

    fork(2, tmp_path)
    assert column(tmp_path, "loss") == column(two, "loss")
    for name, value in weights(two).items():
        assert torch.equal(weights(tmp_path)[name], value), name


def test_a_batch_that_does_not_divide_is_an_error(tmp_path):
    config = toy.settings(batch_size=8, accumulate=3)
    with pytest.raises(OFAError, match="batch_size 8 does not divide into 3 parts on each of 1 ranks"):
        train(toy.network(), toy.stream(toy.settings()), config, tmp_path)


def test_without_a_launcher_there_is_one_process(monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    assert World.connect("cpu") == World(0, 1, torch.device("cpu"))
