"""What only a GPU can show. `make gpu` runs it; without a GPU the same is tried on the CPU, with gloo.

Runs are compared in float32, without TF32, as on the CPU.
"""

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from ofa import progress
from ofa.train.distributed import World
from ofa.train.loop import train
from ofa.train.losses import SequenceLoss
from tests.train import toy
from tests.train.test_distributed import check_same, column
from tests.train.test_resume import wait_for_step

pytestmark = pytest.mark.gpu

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
NETWORK = {"freeze_resnet": True}
"""Batch statistics are each rank's own, so they are left out of the comparison."""
SETTINGS = dict(steps=20, precision="fp32", device=DEVICE, network=NETWORK)


def start(root: Path, out: Path, *launcher: str, **changes) -> subprocess.Popen:
    """A training of the toy in a process of its own."""
    words = [f"{key}={json.dumps(value)}" for key, value in (SETTINGS | changes).items()]
    environment = os.environ | {"PYTHONPATH": str(root), "CUBLAS_WORKSPACE_CONFIG": ":4096:8"}
    command = [sys.executable, *launcher, str(root / "tests/train/toy.py"), str(out), *words]
    return subprocess.Popen(command, cwd=root, env=environment)


@pytest.fixture(scope="module")
def plain(root, tmp_path_factory) -> Path:
    """The folder of a run on one GPU without any word."""
    out = tmp_path_factory.mktemp("plain")
    assert start(root, out).wait() == 0
    return out


def gradients(net: torch.nn.Module, precision: str) -> tuple[float, torch.Tensor]:
    """The loss of a batch and the gradient of all parameters, on the CPU."""
    config = toy.settings(precision=precision)
    batch = toy.stream(config).batch(0).to(DEVICE)
    net.zero_grad()
    with torch.autocast(DEVICE, torch.bfloat16, enabled=precision == "bf16"):
        result = SequenceLoss(config)(net.train(), batch, 0)
    result.loss.backward()
    parts = [parameter.grad.flatten() for parameter in net.parameters() if parameter.grad is not None]
    return result.loss.item(), torch.cat(parts).cpu()


def test_bf16_agrees_with_float32():
    net = toy.network(d_model=128, ffn_dim=512, encoder_layers=2, decoder_layers=2, **NETWORK).to(DEVICE)
    loss, gradient = gradients(net, "fp32")
    other_loss, other_gradient = gradients(net, "bf16")
    assert other_loss == pytest.approx(loss, rel=0.01) and other_loss != loss
    assert torch.cosine_similarity(gradient, other_gradient, dim=0) > 0.99


@pytest.mark.parametrize(
    "words", [{"compile": True}, {"activation_checkpointing": True}], ids=["compiled", "recomputed"]
)
def test_a_word_does_not_change_the_curve(root, tmp_path, plain, words):
    assert start(root, tmp_path, **words).wait() == 0
    check_same(tmp_path, plain)


@pytest.mark.parametrize("words", [{}, {"compile": True}], ids=["", "compiled"])
@pytest.mark.parametrize("parallel", ["ddp", "fsdp"])
def test_one_process_a_gpu_follows_the_curve_of_one(root, tmp_path, plain, parallel, words):
    ranks = max(torch.cuda.device_count(), 1)
    ranks = max(count for count in (1, 2, 4, 8) if count <= ranks)  # of 8 rows
    launcher = ("-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}")
    assert start(root, tmp_path, *launcher, parallel=parallel, **words).wait() == 0
    check_same(tmp_path, plain)


def test_a_killed_run_ends_with_the_same_weights(root, tmp_path):
    settings = {"deterministic": True, "ema_decay": 0.9, "checkpoint_every": 7, "network": NETWORK | {"dropout": 0.1}}
    settings["freeze"] = ["encoder.resnet.*"]  # torch has no deterministic backward pass of its pool
    assert start(root, tmp_path / "left", **settings).wait() == 0
    for step in sorted(random.Random().sample(range(2, 18), 2)):
        process = start(root, tmp_path / "killed", **settings)
        wait_for_step(process, tmp_path / "killed", step)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert start(root, tmp_path / "killed", **settings).wait() == 0
    left, killed = (torch.load(tmp_path / name / "weights.pt", weights_only=True) for name in ("left", "killed"))
    assert left.keys() == killed.keys() and all(torch.equal(value, killed[name]) for name, value in left.items())


def test_progress_and_history_show_the_share_of_the_peak(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(progress, "LOG_SECONDS", 0.0)
    config = toy.settings(steps=6, log_every=2, device=DEVICE)
    train(toy.network(), toy.stream(config), config, tmp_path, world=World.connect(DEVICE))
    assert DEVICE == "cuda", "there is no GPU here, and no peak of it"
    assert all(0 < share < 1 for share in column(tmp_path, "mfu"))
    assert "MFU" in capfd.readouterr().err
