"""A GPU that is not there: what lies on it has shape, type and device, and no numbers.

Tensors on the CPU are real. Those on the GPU are torch's fake ones, which refuse to be mixed with tensors of the CPU as
a GPU's would. Where a program asks for a number that only the GPU knows, it has to wait for it: here it gets a made-up
one, and the place that asked is written down.

The backward pass does not run on a fake "cuda": autograd asks the driver for streams. There every gradient is 0. On a
fake device of a made-up type it does run, but without autocast, which knows the types of torch alone.

So the two sides of a training are looked at apart, and neither could have true numbers after its first step. A search
has `tests.far` instead, where numbers are true and gradients are not to be had.

All this changes torch for good: for a process of its own.
"""

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode, unset_fake_temporarily
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.backend_registration import _DummyBackendModule, _setup_privateuseone_for_python_backend

from ofa.train.distributed import World

ROOT = Path(__file__).resolve().parents[2]
aten = torch.ops.aten

NUMBER = 2
"""What every number is that is asked for; what is asked whether it is so is not."""


class ImaginedGPU(TorchDispatchMode):
    """Inside the block devices of type `kind` are such a GPU; `waits` counts the places that waited for it."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.waits: Counter[str] = Counter()
        self.pinned: list[Tensor] = []

    @property
    def world(self) -> World:
        """One process that computes there."""
        return World(0, 1, torch.device(self.kind, 0))

    def __torch_dispatch__(self, func, types, args=(), kwargs=None) -> Any:
        kwargs = kwargs or {}
        if torch.is_inference_mode_enabled() and func.namespace == "aten" and func._can_decompose():
            with self:  # into the parts that come here one by one otherwise
                return func.decompose(*args, **kwargs)
        there = any(isinstance(leaf, FakeTensor) for leaf in tree_leaves((args, kwargs)))
        to = torch.device(kwargs["device"]).type if kwargs.get("device") is not None else None
        if func is aten._pin_memory.default:
            self.pinned.append(args[0].clone())
            return self.pinned[-1]
        if not there and to != self.kind:
            with unset_fake_temporarily():
                return func(*args, **kwargs)
        if func is aten._local_scalar_dense.default:
            self._wait()
            return args[0].dtype != torch.bool and (float if args[0].dtype.is_floating_point else int)(NUMBER)
        if to == "cpu":
            self._wait()
            return _made_up(args[0], kwargs.get("dtype") or args[0].dtype)
        if func is aten.copy_.default and not isinstance(args[0], FakeTensor):
            self._wait()
            return args[0]
        if func in (aten._to_copy.default, aten.copy_.default):
            source = args[0 if func is aten._to_copy.default else 1]
            if not isinstance(source, FakeTensor) and not any(source is own for own in self.pinned):
                self._wait()
        if func is aten.nonzero.default:
            self._wait()
            return args[0].new_empty((max(args[0].numel() // 2, 1), args[0].dim()), dtype=torch.long)
        if func in (aten.index.Tensor, aten.index_put_.default, aten.index_put.default):
            args = (args[0], self._numbers(args[1]), *args[2:])
        return func(*args, **kwargs)

    def _numbers(self, indices: Sequence[Tensor | None]) -> list[Tensor | None]:
        """Indices, with numbers for the masks among them, which a GPU has to be asked for."""
        found: list[Tensor | None] = []
        for index in indices:
            if index is None or index.dtype != torch.bool:
                found.append(index)
            else:
                self._wait()
                found += [index.new_empty(max(index.numel() // 2, 1), dtype=torch.long)] * index.dim()
        return found

    def _wait(self) -> None:
        """Write down which function of the library is running."""
        frame = sys._getframe(1)
        while frame is not None and not frame.f_code.co_filename.startswith(f"{ROOT}/ofa/"):
            frame = frame.f_back
        if frame is not None:
            self.waits[f"{frame.f_code.co_filename[len(str(ROOT)) + 1 :]}:{frame.f_code.co_qualname}"] += 1


def _made_up(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    with unset_fake_temporarily():
        return torch.full(tensor.shape, False if dtype == torch.bool else NUMBER, dtype=dtype)


class _NoBackend(_DummyBackendModule):
    def is_available(self) -> bool:
        return False

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return []


@contextmanager
def imagined_gpu(kind: str) -> Iterator[ImaginedGPU]:
    """A GPU of type "cuda", or of a type that torch does not know."""
    with ExitStack() as stack:
        if kind == "cuda":
            for place, name, value in (
                (torch.cuda.amp.common, "amp_definitely_not_available", False),
                (torch.cuda, "is_bf16_supported", True),
                (torch.cuda, "get_device_name", "NVIDIA H100 80GB HBM3"),
            ):
                stack.enter_context(patch.object(place, name, lambda *_, value=value: value))
            stack.enter_context(patch.object(Tensor, "backward", _no_gradients))
        else:
            _setup_privateuseone_for_python_backend(kind, _NoBackend())
        stack.enter_context(patch.object(torch.utils, "swap_tensors", _swap(torch.utils.swap_tensors)))
        stack.enter_context(torch.autograd.set_multithreading_enabled(False))
        stack.enter_context(FakeTensorMode(allow_non_fake_inputs=True))
        gpu = stack.enter_context(ImaginedGPU(kind))
        stack.enter_context(patch.object(World, "connect", lambda *_: gpu.world))
        yield gpu


def _swap(swap: Callable[[Tensor, Tensor], None]) -> Callable[[Tensor, Tensor], None]:
    """How a module takes another tensor in place of its own; one that is there already stays, torch would refuse."""
    return lambda own, other: None if isinstance(own, FakeTensor) and own.device == other.device else swap(own, other)


def _no_gradients(loss: Tensor) -> None:
    """A backward pass in which every gradient is 0."""
    found, ahead = set(), [loss.grad_fn]
    while ahead:
        node = ahead.pop()
        if node is None or node in found:
            continue
        found.add(node)
        ahead += [before for before, _ in node.next_functions]
        if hasattr(node, "variable"):
            node.variable.grad = torch.zeros_like(node.variable)
