"""A GPU for machines without one: its tensors say that they are on `cuda:0`, and their numbers are computed here.

What a real one would refuse is refused, by PyTorch's own rules for fake tensors: operands on two devices, numbers of
the GPU drawn with a generator of the CPU. What a real one would have to be waited for is written down.

A search decides by numbers, so it needs them. Trainings have `tests.train.imagined`: a backward pass on "cuda" asks the
driver, which is not there.
"""

from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensor,
    FakeTensorMode,
)
from torch.utils._pytree import tree_leaves, tree_map, tree_map_only

CPU, CUDA = torch.device("cpu"), torch.device("cuda", 0)
aten = torch.ops.aten


class FarTensor(Tensor):
    """On `cuda:0` as far as anyone can see; `near` holds its numbers on the CPU."""

    @staticmethod
    def __new__(cls, near: Tensor) -> "FarTensor":
        return Tensor._make_wrapper_subclass(
            cls, near.shape, near.stride(), near.storage_offset(), dtype=near.dtype, device=CUDA
        )

    def __init__(self, near: Tensor):
        self.near = near

    def __repr__(self, **_: Any) -> str:
        return f"FarTensor({self.near})"

    def tolist(self) -> list:
        return self.cpu().tolist()

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, operation, types, args=(), kwargs=None):
        raise RuntimeError(f"{operation}: a tensor of FarGPU is outside of its `with`")


class FarGPU(FakeTensorMode):
    """Inside `with FarGPU() as gpu` tensors can be on the device "cuda". Without gradients.

    `gpu.waits` names the operations in which the host waited until the GPU had done all that it was given: numbers
    brought back, outputs whose size depends on numbers, copies that are not `non_blocking`. On a real GPU
    `torch.cuda.set_sync_debug_mode` reports them.
    """

    def __init__(self):
        super().__init__()
        self.waits: list[str] = []
        self._fakes = FakeTensorMode()

    def __enter__(self) -> "FarGPU":
        # A parameter cannot become one of another class in place: a module that moves gets new ones.
        torch.__future__.set_overwrite_module_params_on_conversion(True)
        # cuDNN has operations of its own, which a CPU has not.
        self._cudnn, torch.backends.cudnn.enabled = torch.backends.cudnn.enabled, False
        return super().__enter__()

    def __exit__(self, *error: Any) -> None:
        torch.__future__.set_overwrite_module_params_on_conversion(False)
        torch.backends.cudnn.enabled = self._cudnn
        super().__exit__(*error)

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        if operation in (aten.pin_memory.default, aten._pin_memory.default):
            return args[0].clone()  # page-locked memory is not there either
        leaves = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        devices = self._devices(operation, args, kwargs or {})
        here = [leaf.device for leaf in leaves]
        if CUDA in (*here, *(devices or ())) and (devices is None or _blocks(operation, args, kwargs or {})):
            self.waits.append(str(operation))
        near_args, near_kwargs = tree_map_only(FarTensor, lambda tensor: tensor.near, (args, kwargs or {}))
        found = operation(*near_args, **{name: _near(name, value) for name, value in near_kwargs.items()})
        known = {id(leaf.near): leaf for leaf in leaves if isinstance(leaf, FarTensor)}
        places = iter([CUDA if CUDA in here else CPU] * len(tree_leaves(found)) if devices is None else devices)

        def place(leaf: Any) -> Any:
            if next(places) != CUDA or not isinstance(leaf, Tensor):
                return leaf
            return known[id(leaf)] if id(leaf) in known else FarTensor(leaf)

        return tree_map(place, found)

    def _devices(self, operation, args, kwargs) -> list[torch.device | None] | None:
        """Where each leaf of the output is; None for outputs that depend on numbers."""

        def fake(tensor: Tensor) -> Tensor:
            return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device=tensor.device)

        with self._fakes:
            args, kwargs = tree_map_only(Tensor, fake, (args, kwargs))
            try:
                found = operation(*args, **kwargs)
            except (DataDependentOutputException, DynamicOutputShapeException):
                FakeTensor._find_common_device(operation, tree_leaves((args, kwargs)))
                return None
        devices = [leaf.device if isinstance(leaf, Tensor) else None for leaf in tree_leaves(found)]
        generator = kwargs.get("generator")
        if generator is not None and any(device not in (None, generator.device) for device in devices):
            raise RuntimeError(f"{operation}: numbers on {devices[0]}, but a generator on {generator.device}")
        return devices


def _near(name: str, value: Any) -> Any:
    """A keyword argument for the CPU."""
    if name == "device" and value is not None:
        return CPU
    return False if name == "pin_memory" else value


def _blocks(operation, args, kwargs) -> bool:
    """Whether an operation whose output has a known size waits all the same."""
    if operation is aten._to_copy.default:
        to = kwargs.get("device") or args[0].device
        return torch.device(to).type != args[0].device.type and not kwargs.get("non_blocking")
    if operation is aten.copy_.default:
        blocking = not (args[2] if len(args) > 2 else kwargs.get("non_blocking"))
        return args[0].device != args[1].device and blocking
    if operation in (aten.index_put.default, aten.index_put_.default):
        return any(index is not None and index.dtype == torch.bool for index in args[1])
    return False
