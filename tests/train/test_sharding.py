"""What a process holds while its network is spread over several."""

import gc
import json
from pathlib import Path

import pytest
import torch
from torch.distributed.tensor import DTensor

from ofa.train.distributed import World
from ofa.train.loop import train
from tests.train import toy
from tests.train.launch import fork


def held() -> int:
    """Bytes of the numbers that this process holds in tensors, each storage once; a compiler's tensors hold none."""
    gc.collect()
    known = (torch.Tensor, torch.nn.Parameter, DTensor)
    tensors = [found for found in gc.get_objects() if type(found) in known]
    plain = [t.to_local() if isinstance(t, DTensor) else t for t in tensors]
    plain += [tensor.grad for tensor in plain if tensor.is_leaf and tensor.grad is not None]
    return sum({t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in plain}.values())


def measured(world: World, parallel: str, out: Path) -> dict[str, list[int]]:
    """What the main process holds after each step and in each validation, in networks."""
    settings = dict(steps=3, checkpoint_every=100, validate_every=1, ema_decay=0.9, precision="fp32")
    config = toy.settings(parallel=parallel, **settings)
    before = held()
    net = toy.network(ffn_dim=1024)
    size = sum(value.nbytes for value in net.state_dict().values())
    found = {"steps": [], "validations": []}

    def count(where: str) -> None:
        found[where].append((held() - before) / size)

    def validate(net, _) -> dict[str, float]:
        count("validations")
        assert all(value.isfinite().all() for value in net.state_dict().values())
        return {}

    callbacks = [lambda _, values: "loss" in values and count("steps")]
    train(net, toy.stream(config, world), config, out, callbacks, validate, world=world)
    return found


def test_each_process_holds_its_share_and_the_whole_network_in_a_validation_only(tmp_path):
    def process() -> None:
        world = World.connect("cpu", timeout=60)
        found = {parallel: measured(world, parallel, tmp_path / parallel) for parallel in ("ddp", "fsdp")}
        if world.is_main:
            (tmp_path / "found.json").write_text(json.dumps(found))
        world.disconnect()

    fork(2, process)
    found = json.loads((tmp_path / "found.json").read_text())
    # Weights, gradients, two moments and an average; the first record of a run comes before some of them.
    assert found["ddp"]["steps"][1:] == pytest.approx([5.0, 5.0], rel=0.05)
    assert found["fsdp"]["steps"][1:] == pytest.approx([2.5, 2.5], rel=0.05)
    # Beside that the whole network, and the share of the weights that the average replaces.
    assert found["fsdp"]["validations"] == pytest.approx([4.0, 4.0, 4.0], rel=0.05)
