"""How fast updates are and what they need, by size and setting: a table for docs/training.md.

python -m tests.train.speed [--device cuda] [--sizes tiny base large] [--settings plain compile checkpointing]
"""

import argparse
import itertools
import tempfile
from collections.abc import Iterator, Mapping
from multiprocessing import get_context

import torch

from ofa.data.batch import Sample, collate
from ofa.errors import OFAError
from ofa.model import OFAConfig, OFAModel
from ofa.train.config import TrainConfig
from ofa.train.loop import train

ROWS = {"nano": 64, "tiny": 64, "medium": 48, "base": 32, "large": 16, "huge": 4}
"""Of an update."""
TOKENS = 20
"""Of the source and of the target."""
SETTINGS = {
    "plain": {},
    "compile": {"compile": True},
    "checkpointing": {"activation_checkpointing": True},
}


class Again:
    """A stream of one batch."""

    def __init__(self, rows: int, side: int):
        generator = torch.Generator().manual_seed(0)

        def sample(number: int) -> Sample:
            source, target = torch.randint(4, 50000, (2, TOKENS), generator=generator)
            picture = torch.randint(0, 256, (3, side, side), dtype=torch.uint8, generator=generator)
            return Sample(id=str(number), source=source, previous=target, target=target, image=picture)

        self.step, self.batch = 0, collate([sample(number) for number in range(rows)])

    def __iter__(self) -> Iterator:
        return itertools.repeat(self.batch)


class Measured(Exception):
    """What was to be measured is."""


def measure(size: str, setting: str, device: str, rows: int, steps: int) -> Mapping[str, float]:
    """The record of some updates, after as many that do not count."""
    config = TrainConfig(
        steps=10 * steps, batch_size=rows, log_every=steps, checkpoint_every=10 * steps, device=device,
        **SETTINGS[setting],
    )  # fmt: skip
    torch.manual_seed(0)
    net = OFAModel(OFAConfig.preset(size))

    def stop(step: int, values: Mapping[str, float]) -> None:
        if step == 2 * steps:
            raise Measured(values)

    with tempfile.TemporaryDirectory() as out:
        try:
            train(net, Again(rows, 128 if size == "nano" else 384), config, out, [stop])
        except Measured as measured:
            return measured.args[0]
        except OFAError as error:
            if "out of memory" not in str(error):
                raise
            return {}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--sizes", nargs="+", default=["tiny", "base", "large"], choices=ROWS)
    parser.add_argument("--settings", nargs="+", default=list(SETTINGS), choices=SETTINGS)
    parser.add_argument("--rows", type=int, default=0, help="of an update; 0: by size")
    parser.add_argument("--steps", type=int, default=20, help="that are measured")
    given = parser.parse_args()
    print("| size | bf16, and | rows | samples/s | tokens/s | GiB | MFU |\n| --- | --- | --- | --- | --- | --- | --- |")
    # A process each: the most memory of one must not be another's.
    with get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        for size, setting in itertools.product(given.sizes, given.settings):
            rows = given.rows or ROWS[size]
            found = pool.apply(measure, (size, setting, given.device, rows, given.steps))
            columns = ("samples_per_second", "{:.3g}"), ("tokens_per_second", "{:.3g}"), ("memory_gib", "{:.1f}")
            values = [form.format(found[name]) if found else "no memory" for name, form in columns]
            mfu = f"{found['mfu']:.0%}" if "mfu" in found else ""
            print(f"| {size} | {setting} | {rows} | {' | '.join(values)} | {mfu} |", flush=True)


if __name__ == "__main__":
    main()
