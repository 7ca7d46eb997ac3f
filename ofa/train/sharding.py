"""FSDP2: parameters, gradients and optimizer state spread over the ranks, gathered a layer at a time.

Training works on a sharded copy; the network that the caller gave stays whole and takes over the copy's weights when
it is measured or delivered. Checkpoints hold the ranks' shards (`ofa.train.storage`).
"""

import copy

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


def local(tensor: Tensor) -> Tensor:
    """This rank's part of a tensor that may be sharded."""
    return tensor.to_local() if hasattr(tensor, "to_local") else tensor
