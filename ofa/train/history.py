"""The record of a run: numbers of every few steps, in a CSV file that `dvc plots` and pandas read."""

import csv
import math
import resource
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch

from ofa.files import atomic_write
from ofa.train.distributed import World
from ofa.train.losses import TokenLoss


class History:
    """A CSV file with a column "step". The first record of a new file decides the other columns."""

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.columns: list[str] = []
        if self.path.exists():
            with open(self.path, newline="", encoding="utf-8") as file:
                self.columns = next(csv.reader(file), [])

    def add(self, step: int, values: Mapping[str, float]) -> None:
        """Append one line, which is on disk when this returns."""
        if not self.columns:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.columns = ["step", *values]
            self._append(self.columns)
        self._append([step, *(f"{values.get(name, math.nan):.6g}" for name in self.columns[1:])])

    def truncate(self, step: int) -> None:
        """Drop the lines of later steps, and a last line that a killed run left unfinished."""
        if not self.path.exists():
            return
        with open(self.path, newline="", encoding="utf-8") as file:
            lines = [line for line in file if line.endswith("\n")]
        kept = lines[:1] + [line for line in lines[1:] if int(line.split(",")[0]) <= step]
        if len(kept) < 2:
            self.path.unlink()
            self.columns = []
            return
        with atomic_write(self.path) as file:
            file.writelines(kept)

    def _append(self, values: list) -> None:
        with open(self.path, "a", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerow(values)


class Window:
    """Means and rates over the steps between two records. Sums stay on the device until they are asked for.

    Args:
        world: this process among the others.
        peak: operations a second that its device can do at most; None: not known.
        unit: what the sums of a loss are over; "" tells no rate of them.
    """

    def __init__(self, world: World, peak: float | None = None, unit: str = "tokens"):
        self.world, self.peak, self.unit = world, peak, unit
        self.start()

    def start(self) -> None:
        """Begin a window now."""
        self.started = time.perf_counter()
        self.sums = torch.zeros(2, dtype=torch.float64, device=self.world.device)
        self.counts = [0.0] * 4
        self.norms: list[float] = []
        self.drop_step()

    def add(self, result: TokenLoss, samples: int, size: float, flops: float = 0.0) -> None:
        """Count a part of a step: its sums, which `size` turns into means over all ranks, and its operations."""
        self.step_sums[0] += result.loss.detach() / size
        self.step_sums[1] += result.nll / size
        self.samples += samples
        self.size += result.size
        self.flops += flops

    def close_step(self, norm: float) -> None:
        """The step is done; `norm` was the norm of its gradient."""
        self.sums += self.step_sums
        own = (self.samples, self.size, self.flops, 1.0 / self.world.size)
        self.counts = [count + more for count, more in zip(self.counts, own, strict=True)]
        self.norms.append(norm)
        self.drop_step()

    def drop_step(self) -> None:
        """Forget the parts added since the last step was closed."""
        self.step_sums = torch.zeros(2, dtype=torch.float64, device=self.world.device)
        self.samples, self.size, self.flops = 0, 0, 0.0

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Time spent inside the block does not count."""
        begin = time.perf_counter()
        yield
        self.started += time.perf_counter() - begin

    def flush(self) -> dict[str, float]:
        """Means and rates over all ranks; begins the next window."""
        seconds = time.perf_counter() - self.started
        sums = torch.cat([self.sums, self.sums.new_tensor(self.counts)])
        loss, nll, samples, size, flops, steps = self.world.sum(sums).tolist()
        values = {
            "loss": loss / steps if steps else math.nan,
            "nll": nll / steps if steps else math.nan,
            "gradient_norm": sum(self.norms) / len(self.norms) if self.norms else math.nan,
            "samples_per_second": samples / seconds,
        }
        if self.unit:
            values[f"{self.unit}_per_second"] = size / seconds
        values["memory_gib"] = _most_memory(self.world.device)
        if self.peak and flops:
            values["mfu"] = flops / seconds / (self.peak * self.world.size)
        self.start()
        return values


def _most_memory(device: torch.device) -> float:
    """The most memory (GiB) that this process has used so far: the GPU's, or without one the main memory."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / 2**30 if sys.platform == "darwin" else most / 2**20
