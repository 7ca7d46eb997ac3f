"""Where networks compute, and how exactly."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from ofa.errors import OFAError


def choose_device(name: str | torch.device = "auto", rank: int = 0) -> torch.device:
    """The device of a name: auto, cpu, cuda, cuda:1 ...; a `torch.device` is taken as it is.

    Args:
        name: "auto" is a GPU where there is one.
        rank: which of several processes asks; with "auto" they take turns with the GPUs.

    Raises:
        OFAError: a GPU is asked for that is not there, or the name is none.
    """
    if isinstance(name, torch.device):
        return name
    gpus = torch.cuda.device_count()
    if name == "auto":
        return torch.device("cuda", rank % gpus) if gpus else torch.device("cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise OFAError(f"no device {name!r}; name one of auto, cpu, cuda, cuda:1 ...") from None
    if device.type == "cuda" and (device.index or 0) >= gpus:
        raise OFAError(f"device {name} is asked for, but torch finds {gpus} GPUs; take auto or cpu")
    return device


@contextmanager
def exact_float32(precision: str) -> Iterator[None]:
    """Inside the block "fp32" is what it says on a GPU; another precision changes nothing.

    By torch's default cuDNN's convolutions round float32 to the 10 bits of TF32, and products of matrices do not.
    """
    backends = (torch.backends.cudnn, torch.backends.cuda.matmul) if precision == "fp32" else ()
    before = [backend.allow_tf32 for backend in backends]
    try:
        for backend in backends:
            backend.allow_tf32 = False
        yield
    finally:
        for backend, allowed in zip(backends, before, strict=True):
            backend.allow_tf32 = allowed
