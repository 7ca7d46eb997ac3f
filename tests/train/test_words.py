"""bf16, activation checkpointing and compilation, each by a word, alone and together, with DDP and FSDP2."""

import csv
from pathlib import Path

import pytest
import torch
from torch import nn

from ofa.train.distributed import World
from ofa.train.loop import train
from tests.train import toy
from tests.train.launch import fork

WORDS = {
    "bf16": {"precision": "bf16"},
    "recomputed": {"activation_checkpointing": True},
    "compiled": {"compile": True},
    "all": {"precision": "bf16", "activation_checkpointing": True, "compile": True},
}


class OneShape(toy.Task):
    """Answers of one length, so that the compiler meets one shape."""

    def sample(self, row, train, rng):
        return super().sample(row | {"length": 2}, train, rng)


def run(out: Path, world: World = toy.ALONE, **changes) -> None:
    config = toy.settings(**{"steps": 4, "precision": "fp32", "checkpoint_every": 100} | changes)
    train(toy.network(freeze_resnet=True), toy.stream(config, world, OneShape()), config, out, world=world)


def losses(out: Path) -> list[float]:
    with open(out / "history.csv", newline="") as file:
        return [float(line["loss"]) for line in csv.DictReader(file)]


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> dict[str, list[float]]:
    """Curves of one process by precision."""
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("alone")
    for precision in ("fp32", "bf16"):
        run(out / precision, precision=precision)
    return {precision: losses(out / precision) for precision in ("fp32", "bf16")}


@pytest.mark.parametrize("parallel", ["ddp", "fsdp"])
def test_the_curve_is_that_of_one_process_without_the_words(tmp_path, alone, monkeypatch, parallel):
    def process() -> None:
        compiled = []
        compile_of_torch = nn.Module.compile

        def traced(net: nn.Module) -> None:  # the compiler's front, without the minutes of its back
            compiled.append(net)
            compile_of_torch(net, backend="eager")

        monkeypatch.setattr(nn.Module, "compile", traced)
        world = World.connect("cpu", timeout=120)
        for name, words in WORDS.items():
            run(tmp_path / name, world, parallel=parallel, **words)
        assert len(compiled) == sum("compile" in words for words in WORDS.values())
        world.disconnect()

    fork(2, process)
    assert losses(tmp_path / "recomputed") == pytest.approx(alone["fp32"], abs=1e-4, rel=0)
    assert losses(tmp_path / "compiled") == pytest.approx(alone["fp32"], abs=1e-4, rel=0)
    assert losses(tmp_path / "bf16") == pytest.approx(alone["bf16"], abs=0.02, rel=0)
    assert losses(tmp_path / "all") == pytest.approx(alone["bf16"], abs=0.02, rel=0)
    assert losses(tmp_path / "bf16") != pytest.approx(alone["fp32"], abs=1e-6, rel=0)
