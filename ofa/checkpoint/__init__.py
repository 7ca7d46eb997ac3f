"""Networks on disk: our folder format, the original's files and the layout of the Hugging Face port."""

from pathlib import Path
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from ofa.checkpoint.fairseq import load_fairseq, save_fairseq
from ofa.checkpoint.fit import restore
from ofa.checkpoint.folder import load_folder, save_folder
from ofa.checkpoint.huggingface import load_huggingface, save_huggingface
from ofa.checkpoint.tools import convert, diff, inspect, read_any, read_config
from ofa.model import OFAModel

__all__ = [
    "convert",
    "diff",
    "inspect",
    "load",
    "load_fairseq",
    "load_folder",
    "load_huggingface",
    "read_config",
    "save_fairseq",
    "save_folder",
    "save_huggingface",
]


def load(path: str | Path, **overrides: Any) -> OFAModel:
    """The network at `path`, of any format, in evaluation mode.

    Args:
        path: a folder of ours or of the Hugging Face port, or a file of the original.
        overrides: fields of the configuration that shall differ, such as `adapter_dim`; see `restore` for how the
            weights are adapted. For files of the original also `ema=True`.

    Raises:
        OFAError: nothing is there, it is damaged, or it does not fit.
    """
    config, state = read_any(path, **overrides)
    with torch.device("meta"), _Unfilled():
        net = OFAModel(config)
    shapes = {name: tensor.shape for name, tensor in net.state_dict().items()}
    if shapes == {name: tensor.shape for name, tensor in state.items()}:
        # The usual case: nothing is computed or copied, pages are read from disk when they are used.
        net.load_state_dict(state, assign=True)
    else:
        net = OFAModel(config)
        restore(net, state, path)
    return net.eval()


class _Unfilled(TorchFunctionMode):
    """No random numbers for tensors that get other values: on the meta device they cost seconds of imports."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if getattr(func, "__name__", "") in ("normal_", "uniform_"):
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)
