"""Kill trainings at random, start them again, and compare how they end with trainings that were left alone.

python -m tests.train.torture [--minutes 10] [--seed 0]

A round draws the number of ranks, DDP or FSDP2, how often checkpoints and validations come, and a few interruptions:

    sigkill     to a random rank (the launcher then ends the others)
    writing     the same while a checkpoint is being written
    sigterm     to a random rank
    group       SIGTERM to all ranks
    memory      a random rank gets no more memory

In the end weights, best weights' step and curves must be equal, bit by bit; where the number of ranks changed on the
way, the rows of each step must be.
"""

import argparse
import collections
import json
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.context import ForkProcess
from pathlib import Path

import torch

from ofa.train.distributed import World
from ofa.train.loop import train
from tests.train import toy
from tests.train.launch import start

STEPS = 12
KINDS = ("sigkill", "writing", "sigterm", "group", "memory")


@dataclass(frozen=True)
class Case:
    """A training."""

    ranks: int
    parallel: str
    checkpoint_every: int
    validate_every: int


class Logged:
    """A stream that writes down which rows each of its batches holds."""

    def __init__(self, stream, path: Path):
        self.stream, self.path, self.step = stream, path, 0

    def __iter__(self):
        self.stream.step = self.step
        with open(self.path, "a") as file:
            for number, batch in enumerate(self.stream, self.step):
                print(json.dumps([number, batch.ids]), file=file, flush=True)
                yield batch


def work(case: Case, out: Path) -> None:
    """What every rank runs."""
    sys.stderr = open(out / "log", "a")
    os.dup2(sys.stderr.fileno(), 2)
    world = World.connect("cpu", timeout=60)
    config = toy.settings(
        steps=STEPS,
        accumulate=2,
        ema_decay=0.9,
        precision="fp32",
        parallel=case.parallel,
        checkpoint_every=case.checkpoint_every,
        validate_every=case.validate_every,
        best_metric="score",
    )

    def validate(net, pause) -> dict[str, float]:
        for _ in range(5):
            pause()
            time.sleep(0.01)
        return {"score": float(net.embed_tokens.weight[5].detach().sum().sin())}

    net = toy.network(dropout=0.1)
    stream = Logged(toy.stream(config, world), out / f"rows{world.rank}of{world.size}")
    result = train(net, stream, config, out, validate=validate, world=world)
    if world.is_main:
        torch.save({"weights": toy.weights(net), "best": result.best_step}, out / "end.pt")
    world.disconnect()


def run(case: Case, out: Path, interrupt: Callable[[list[ForkProcess]], None] | None = None) -> bool:
    """Start a training, maybe interrupt it, and wait; returns whether it came to its end."""
    processes = start(case.ranks, lambda: work(case, out))
    if interrupt is not None:
        interrupt(processes)
    deadline = time.monotonic() + 180
    while any(process.is_alive() for process in processes) and time.monotonic() < deadline:
        if any(process.exitcode for process in processes):
            time.sleep(0.3)  # what a launcher does when a process has failed
            for process in processes:
                process.kill()
        time.sleep(0.01)
    hung = [number for number, process in enumerate(processes) if process.is_alive()]
    for process in processes:
        process.kill()
        process.join()
    if hung:
        raise SystemExit(f"{out}: ranks {hung} hung")
    return all(process.exitcode == 0 for process in processes)


def interruption(kind: str, rng: random.Random, out: Path, seconds: float) -> Callable[[list[ForkProcess]], None]:
    """What interrupts a training that takes about so many seconds."""

    def interrupt(processes: list[ForkProcess]) -> None:
        time.sleep(rng.uniform(0, seconds))
        victim = rng.choice(processes)
        if kind == "writing":
            while all(p.is_alive() for p in processes) and not list(out.glob("checkpoints/.*.tmp")):
                pass
            time.sleep(rng.uniform(0, 0.02))
        if kind == "memory":
            try:
                size = int(Path(f"/proc/{victim.pid}/statm").read_text().split()[0]) * resource.getpagesize()
                resource.prlimit(victim.pid, resource.RLIMIT_AS, (size, size))
            except (FileNotFoundError, ProcessLookupError):
                return
        for process in processes if kind == "group" else [victim]:
            if process.is_alive() and kind != "memory":
                os.kill(process.pid, signal.SIGTERM if kind in ("sigterm", "group") else signal.SIGKILL)

    return interrupt


def rows(out: Path) -> dict[int, set[str]]:
    """The rows of each batch over all ranks. Ranks that are left out were killed before they read it."""
    found: dict[int, dict[str, tuple]] = collections.defaultdict(dict)
    for path in sorted(out.glob("rows*")):
        for line in path.read_text().splitlines():
            try:
                number, ids = json.loads(line)
            except ValueError:
                continue  # its rank was killed in the middle of it
            if found[number].setdefault(path.name, tuple(ids)) != tuple(ids):
                raise SystemExit(f"{out}: batch {number} of {path.name} was read with other rows")
    return {number: {name for ids in parts.values() for name in ids} for number, parts in found.items()}


def check(out: Path, expected: Path, exact: bool) -> None:
    """Compare how two trainings ended."""
    one, other = (torch.load(folder / "end.pt", weights_only=True) for folder in (out, expected))
    for number, ids in rows(expected).items():
        if rows(out)[number] != ids:
            raise SystemExit(f"{out}: batch {number} has other rows")
    if not exact:
        return
    for name, value in other["weights"].items():
        if not torch.equal(one["weights"][name], value):
            raise SystemExit(f"{out}: {name} differs")
    if one["best"] != other["best"]:
        raise SystemExit(f"{out}: best step {one['best']} in place of {other['best']}")
    if (out / "validation.csv").read_text() != (expected / "validation.csv").read_text():
        raise SystemExit(f"{out}: validation.csv differs")
    losses, others = (
        [line.split(",")[:4] for line in (folder / "history.csv").read_text().splitlines()]
        for folder in (out, expected)
    )
    if losses != others:
        raise SystemExit(f"{out}: history.csv differs")


def torture(minutes: float, seed: int, folder: Path) -> collections.Counter:
    """Rounds until the time is up; the number of interruptions of each kind that hit."""
    rng = random.Random(seed)
    torch.set_num_threads(1)
    end = time.monotonic() + 60 * minutes
    undisturbed: dict[Case, tuple[Path, float]] = {}
    hits: collections.Counter = collections.Counter()
    number = 0
    while time.monotonic() < end:
        case = Case(rng.choice((1, 2, 2, 4)), rng.choice(("ddp", "fsdp")), rng.choice((1, 3)), rng.choice((2, 3)))
        if case not in undisturbed:
            place = folder / f"undisturbed{len(undisturbed)}"
            place.mkdir()
            begin = time.monotonic()
            if not run(case, place):
                raise SystemExit(f"{place}: {case} failed")
            undisturbed[case] = place, time.monotonic() - begin
        expected, seconds = undisturbed[case]
        out = folder / f"round{number}"
        out.mkdir()
        elastic = rng.random() < 0.2
        now, done = case, False
        for kind in rng.choices(KINDS, k=rng.randint(1, 4)):
            done = run(now, out, interruption(kind, rng, out, seconds))
            if done:
                break
            hits[kind] += 1
            if elastic:
                now = Case(rng.choice((1, 2, 4)), case.parallel, case.checkpoint_every, case.validate_every)
        if not done and not run(now, out):
            raise SystemExit(f"{out}: {now} does not go on")
        check(out, expected, exact=not elastic)
        shutil.rmtree(out)
        number += 1
        print(f"{number} rounds, {sum(hits.values())} interruptions: {dict(hits)}", flush=True)
    return hits


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10, help="how long")
    parser.add_argument("--seed", type=int, default=0, help="of what is drawn")
    chosen = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="torture"))
    torture(chosen.minutes, chosen.seed, folder)
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
