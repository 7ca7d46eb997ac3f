"""FSDP2: parameters, gradients and optimizer state spread over the ranks, gathered a layer at a time.

Training works on a sharded copy; the network that the caller gave stays whole and takes over the copy's weights when
it is measured or delivered. Checkpoints hold whole tensors, so they do not depend on the ranks.
"""

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ofa.model.layers import Layer
from ofa.train.distributed import World


def sharded_copy(net: nn.Module, world: World) -> nn.Module:
    """A copy of `net` on the world's device, each transformer layer a unit of its own; `shard_root` does the rest."""
    from torch.distributed.fsdp import fully_shard

    sharded = copy.deepcopy(net).to(world.device)
    world.copy_from_main(sharded.state_dict().values())
    for layer in [module for module in sharded.modules() if isinstance(module, Layer)]:
        fully_shard(layer, mesh=world.mesh())
    return sharded


def shard_root(module: nn.Module, world: World) -> nn.Module:
    """Shard what the layers of `sharded_copy` leave over; `module` is what will be called."""
    from torch.distributed.fsdp import fully_shard

    return fully_shard(module, mesh=world.mesh())


def whole(tensor: Tensor) -> Tensor:
    """The whole of a tensor that may be sharded; every rank must ask."""
    return tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor


def gathered(tensors: Mapping[str, Tensor], world: World) -> dict[str, Tensor]:
    """Copies of whole tensors on rank 0's CPU, nothing on the others; every rank must ask.

    One tensor at a time is whole on the device, so that a network which only fits sharded can be saved.
    """
    copies = {}
    for name, tensor in tensors.items():
        tensor = whole(tensor.detach())
        if world.is_main:
            copies[name] = tensor.to("cpu", copy=True).contiguous()
    return copies


def local(tensor: Tensor) -> Tensor:
    """This rank's part of a tensor that may be sharded."""
    return tensor.to_local() if hasattr(tensor, "to_local") else tensor


@torch.no_grad()
def overwrite(targets: Mapping[str, Tensor], values: Mapping[str, Tensor] | None, world: World) -> None:
    """Give tensors, sharded or not, rank 0's whole `values` by name; the other ranks pass None."""
    for name, target in targets.items():
        value = torch.empty(target.shape, dtype=target.dtype, device=world.device)
        if values is not None:
            value.copy_(values[name])
        world.copy_from_main([value])
        if hasattr(target, "placements"):
            from torch.distributed.tensor import distribute_tensor

            value = distribute_tensor(value, target.device_mesh, target.placements, src_data_rank=None)
        target.copy_(value)
