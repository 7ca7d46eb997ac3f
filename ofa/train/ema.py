"""Exponential moving average of a network's weights."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from ofa.train.sharding import local


class EMA:
    """`average = decay * average + (1 - decay) * weights` after every update, in float32.

    As in the original it covers all floating-point state, batch statistics included; integer buffers are copied.
    """

    def __init__(self, net: nn.Module, decay: float):
        self.decay = decay
        self.source = net.state_dict()
        self.average = {k: _float32(v) for k, v in self.source.items()}

    @torch.no_grad()
    def update(self) -> None:
        """Take one step towards the current weights."""
        names = [name for name, value in self.average.items() if value.is_floating_point()]
        average, current = ([local(tensors[name]) for name in names] for tensors in (self.average, self.source))
        torch._foreach_lerp_(average, [value.float() for value in current], 1 - self.decay)
        for name in self.average.keys() - set(names):
            self.average[name].copy_(self.source[name])

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The network holds the average inside the block and its own weights again after it."""
        own = {k: v.clone() for k, v in self.source.items()}
        copy_into(self.source, self.average)
        try:
            yield
        finally:
            copy_into(self.source, own)


def _float32(value: Tensor) -> Tensor:
    return value.detach().clone().float() if value.is_floating_point() else value.clone()


@torch.no_grad()
def copy_into(target: dict[str, Tensor], values: dict[str, Tensor]) -> None:
    """Overwrite tensors in place by name."""
    for name, tensor in target.items():
        tensor.copy_(values[name])
