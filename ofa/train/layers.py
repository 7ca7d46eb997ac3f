"""Words of the configuration that change how layers compute, and not what."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from torch import nn

from ofa.model.layers import Layer
from ofa.train.config import TrainConfig


@contextmanager
def memory_and_speed(net: nn.Module, config: TrainConfig) -> Iterator[None]:
    """Inside the block the layers of `net` recompute their activations and the network is compiled, as configured."""
    layers = []
    if config.activation_checkpointing:
        from torch.utils.checkpoint import checkpoint

        layers = [module for module in net.modules() if isinstance(module, Layer)]
        for layer in layers:
            layer.forward = partial(checkpoint, layer.forward, use_reentrant=False)
    if config.compile:
        net.compile()
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward
        net._compiled_call_impl = None
