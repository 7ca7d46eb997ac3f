"""A network, a table and a task small enough to train in a second; also a program, so that tests can kill it.

python tests/train/toy.py OUT [setting=value ...]
"""

import json
import os
import random
import signal
import socket
import sys
from pathlib import Path

import torch

from ofa.data.batch import Sample
from ofa.data.mixing import Source, Stream
from ofa.model import OFAConfig, OFAModel
from ofa.train.config import TrainConfig
from ofa.train.distributed import World
from ofa.train.loop import train

VOCABULARY = 40
ALONE = World(0, 1, torch.device("cpu"))


class Task:
    """Says which of four quarters of the picture is bright, in as many words as the row's length."""

    name = "quarters"

    def sample(self, row: dict, train: bool, rng: random.Random) -> Sample:
        quarter, length = row["quarter"], row["length"]
        image = torch.randint(0, 60, (3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(row["id"]))
        y, x = 16 * (quarter // 2), 16 * (quarter % 2)
        image[:, y : y + 16, x : x + 16] = 200 + rng.randrange(50)
        answer = [4 + quarter] * length
        return Sample(
            id=f"row{row['id']}",
            source=torch.tensor([0, 10, 11, 2]),
            previous=torch.tensor([0, *answer]),
            target=torch.tensor([*answer, 2]),
            image=image,
            confidence=1.0 + 0.5 * (row["id"] % 2),
        )


def network(seed: int = 0, **overrides) -> OFAModel:
    """A network of 60 thousand parameters, without dropout unless asked for."""
    torch.manual_seed(seed)
    settings = dict(
        vocabulary_size=VOCABULARY, d_model=32, ffn_dim=64, encoder_heads=2, decoder_heads=2, encoder_layers=1,
        decoder_layers=1, resnet_blocks=(1, 1, 1), resnet_width=4, image_bucket_size=4, code_image_size=32,
        token_bucket_size=16, max_source_positions=16, max_target_positions=16, dropout=0.0, encoder_drop_path=0.0,
        decoder_drop_path=0.0,
    )  # fmt: skip
    return OFAModel(OFAConfig(**settings | overrides))


def rows(count: int = 50) -> list[dict]:
    return [{"id": i, "quarter": i * 7 % 4, "length": 1 + i % 3} for i in range(count)]


def stream(config: TrainConfig, world: World | None = None, task: Task | None = None, workers: int = 0) -> Stream:
    world = world or ALONE
    source = Source(table=rows(), task=task or Task())
    return Stream([source], config.batch_size // config.accumulate, config.seed, world.rank, world.size, workers)


def settings(**overrides) -> TrainConfig:
    base = dict(steps=12, batch_size=8, lr=1e-2, checkpoint_every=4, log_every=1, device="cpu")
    return TrainConfig(**base | overrides)


def weights(net: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in net.state_dict().items()}


def terminate_at(at: int, target: str):
    """A callback that sends SIGTERM at a step to the launcher or the own process group, and waits until it is here."""

    def callback(step: int, _) -> None:
        if step != at:
            return
        here, wakeup = socket.socketpair()
        wakeup.setblocking(False)
        signal.set_wakeup_fd(wakeup.fileno())
        if target == "launcher":
            os.kill(os.getppid(), signal.SIGTERM)
        else:
            os.killpg(0, signal.SIGTERM)
        here.recv(1)
        signal.set_wakeup_fd(-1)

    return callback


def main(out: str, *words: str, world: World | None = None) -> None:
    values = {key: json.loads(value) for key, value in (word.split("=", 1) for word in words)}
    overrides, workers, terminate = (values.pop(k, d) for k, d in (("network", {}), ("workers", 0), ("terminate", [])))
    if values.pop("deterministic", False):
        torch.use_deterministic_algorithms(True)
    config = settings(**values)
    world = world or World.connect(config.device)
    net = network(**overrides)
    callbacks = [terminate_at(*terminate)] if terminate else []
    train(net, stream(config, world, workers=workers), config, out, callbacks, world=world)
    if world.is_main:
        torch.save(weights(net), Path(out) / "weights.pt")
    world.disconnect()


if __name__ == "__main__":
    main(*sys.argv[1:])
