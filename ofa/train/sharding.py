"""FSDP2: parameters, gradients and optimizer state spread over the ranks, gathered a layer at a time.

Training works on a sharded copy. The network that the caller gave has no weights meanwhile; it gets the copy's, whole,
when it is measured or delivered. Checkpoints hold the ranks' shards (`ofa.train.storage`).
"""

import copy

import torch
from torch import Tensor, nn

from ofa.model.layers import Layer
from ofa.train.distributed import World


def sharded_copy(net: nn.Module, world: World) -> nn.Module:
    """A copy of `net` on the world's device, each transformer layer a unit of its own; `shard_root` does the rest.

    What is not sharded yet are the parameters of `net` itself, moved to the device, with rank 0's values.
    """
    from torch.distributed.fsdp import fully_shard

    net.to(world.device)
    world.copy_from_main(net.state_dict().values())
    sharded = copy.deepcopy(net, {id(parameter): parameter for parameter in net.parameters()})
    for layer in [module for module in sharded.modules() if isinstance(module, Layer)]:
        fully_shard(layer, mesh=world.mesh())
    return sharded


def shard_root(module: nn.Module, world: World) -> nn.Module:
    """Shard what the layers of `sharded_copy` leave over; `module` is what will be called."""
    from torch.distributed.fsdp import fully_shard

    return fully_shard(module, mesh=world.mesh())


def release(net: nn.Module) -> None:
    """Give back the memory of a network's parameters until `fill`; they keep their shapes and hold no number."""
    for parameter in net.parameters():
        parameter.data = parameter.data.new_tensor(torch.nan).expand_as(parameter)


@torch.no_grad()
def fill(net: nn.Module, sharded: nn.Module) -> None:
    """Give a network the whole weights of its sharded copy; every rank must do so."""
    for parameter, shards in zip(net.parameters(), sharded.parameters(), strict=True):
        parameter.data = shards.full_tensor()
    for own, buffer in zip(net.buffers(), sharded.buffers(), strict=True):
        own.copy_(buffer)


def local(tensor: Tensor) -> Tensor:
    """This rank's part of a tensor that may be sharded."""
    return tensor.to_local() if hasattr(tensor, "to_local") else tensor
