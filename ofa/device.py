"""Where networks compute."""

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
