"""One code path for one process, `torchrun` on one node, and a TrainJob on many.

The launcher's environment variables (RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR, MASTER_PORT) decide; without them
there is one process and no collective is ever called. A launched process that is alone goes the way of many.
"""

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import zip_longest
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from ofa.errors import OFAError

_NOTHING = object()
_control: dist.ProcessGroup | None = None
"""The group in which ranks meet, apart from the tensors on their devices."""
_background: dist.ProcessGroup | None = None
"""A second one, for a thread beside the training: two threads cannot share a group."""


@dataclass(frozen=True)
class World:
    """This process among the processes of a run."""

    rank: int
    """Number of this process, from 0."""
    size: int
    """Number of processes."""
    device: torch.device
    """Where this process computes."""
    timeout: float = field(default=1800.0, compare=False)
    """Seconds that a rank waits for the others."""

    @classmethod
    def connect(cls, device: str = "auto", timeout: float = 1800.0) -> "World":
        """Join the other processes of the run (NCCL on GPUs, gloo on CPUs); may be called again.

        Args:
            device: "cpu", "cuda", or "auto" for a GPU where there is one.
            timeout: seconds that a rank waits for the others before the run fails.

        Raises:
            OFAError: CUDA is asked for and absent, or there are fewer GPUs than processes.
        """
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        if device == "cuda" and not torch.cuda.is_available():
            raise OFAError("device: cuda is asked for, but torch finds no GPU; use 'cpu' or 'auto'")
        global _control, _background
        place = torch.device(device)
        if device == "cuda":
            number, gpus = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
            if number >= gpus:
                raise OFAError(f"process {number + 1} of this machine needs a GPU of its own, and there are {gpus}")
            place = torch.device(device, number)
            torch.cuda.set_device(place)
        if "WORLD_SIZE" in os.environ and not dist.is_initialized():
            dist.init_process_group(
                "nccl" if device == "cuda" else "gloo",
                timeout=timedelta(seconds=timeout),
                device_id=place if device == "cuda" else None,
            )
            _control, _background = (
                dist.new_group(backend="gloo", timeout=timedelta(seconds=timeout)) for _ in range(2)
            )
        return cls(int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1")), place, timeout)

    @property
    def alone(self) -> bool:
        """True for a process that was not launched as one of a group."""
        return not dist.is_initialized() or dist.get_world_size() != self.size

    @property
    def control(self) -> dist.ProcessGroup | None:
        """The group in which ranks meet on their CPUs; None for a process that is alone."""
        return None if self.alone else _control

    @property
    def background(self) -> dist.ProcessGroup | None:
        """The same for one thread beside the main one."""
        return None if self.alone else _background

    @staticmethod
    def disconnect() -> None:
        """Leave the group of processes, if there is one."""
        if dist.is_initialized():
            dist.destroy_process_group()

    @property
    def is_main(self) -> bool:
        """True on the rank that writes files and shows progress."""
        return self.rank == 0

    def sum(self, values: Tensor) -> Tensor:
        """The sum of a tensor over all ranks; the same on every rank."""
        if not self.alone:
            values = values.to(self.device)
            dist.all_reduce(values)
        return values

    def meet(self, values: list[float], where: str) -> list[float]:
        """The sums of a few numbers over all ranks, which are known to be alive then; `where` is for the error.

        Raises:
            OFAError: a rank does not come in time.
        """
        if self.alone:
            return values
        try:
            dist.monitored_barrier(_control, timedelta(seconds=self.timeout), wait_all_ranks=True)
        except RuntimeError as error:
            late = re.search(r"Ranks? ([\d, ]+) failed to pass", str(error))
            who = f"rank {late[1]} did not come" if late else "rank 0 stopped or did not answer (see its log)"
            raise OFAError(
                f"{where}: {who} within {self.timeout:g} s: it is stalled or gone. Look at its log and machine, and "
                "start again to go on after the last checkpoint"
            ) from error
        totals = torch.tensor(values, dtype=torch.float64)
        dist.all_reduce(totals, group=_control)
        return totals.tolist()

    def from_main(self, value: Any) -> Any:
        """Rank 0's `value` on every rank (a small Python object)."""
        if self.alone:
            return value
        box = [value]
        dist.broadcast_object_list(box, src=0, group=_control)
        return box[0]

    def from_all(self, values: list) -> list:
        """The `values` of all ranks (small Python objects), taken in turn from each; the same on every rank."""
        if self.alone:
            return values
        parts: list[list] = [[] for _ in range(self.size)]
        dist.all_gather_object(parts, values, group=_control)
        return [value for turn in zip_longest(*parts, fillvalue=_NOTHING) for value in turn if value is not _NOTHING]

    def copy_from_main(self, tensors: Iterable[Tensor]) -> None:
        """Overwrite tensors in place with rank 0's."""
        if not self.alone:
            for tensor in tensors:
                dist.broadcast(tensor, src=0)

    def barrier(self) -> None:
        """Wait until every rank is here."""
        if not self.alone:
            dist.barrier()

    def mesh(self) -> "dist.device_mesh.DeviceMesh":
        """All ranks in a row."""
        from torch.distributed.device_mesh import init_device_mesh

        return init_device_mesh(self.device.type, (self.size,))

    def parallel(self, module: nn.Module) -> nn.Module:
        """`module` with gradients averaged over the ranks.

        Buffers are not exchanged: batch statistics stay each rank's own until `copy_from_main`. Parameters may go
        unused, as the position tables of the kind of input that a batch does not hold.
        """
        if self.alone:
            return module
        return nn.parallel.DistributedDataParallel(
            module, forward_sync_buffers=False, find_unused_parameters=True, gradient_as_bucket_view=True
        )


@contextmanager
def exchange(module: nn.Module, now: bool) -> Iterator[None]:
    """The backward pass inside the block averages gradients over the ranks, or leaves that to a later one."""
    if hasattr(module, "set_requires_gradient_sync"):
        module.set_requires_gradient_sync(now)
    with module.no_sync() if not now and hasattr(module, "no_sync") else nullcontext():
        yield
