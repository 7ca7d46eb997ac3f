"""Look at, compare and convert networks on disk."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ofa.checkpoint import folder as own
from ofa.checkpoint import huggingface as port
from ofa.checkpoint.fairseq import load_fairseq, save_fairseq
from ofa.checkpoint.fit import size_of
from ofa.errors import OFAError, nearest
from ofa.model.config import OFAConfig

Weights = tuple[OFAConfig, dict[str, Tensor]]

WRITERS: dict[str, Callable[[str | Path, OFAConfig, dict[str, Tensor]], None]] = {
    "folder": lambda path, config, state: own.save_folder(path, (config, state)),
    "fairseq": save_fairseq,
    "huggingface": port.save_huggingface,
}
"""Formats that can be written: ours, the original's and the Hugging Face port's."""


@dataclass(frozen=True)
class Difference:
    """One thing in which two networks differ."""

    name: str
    """A field of the configuration, or a tensor."""
    detail: str
    """How they differ; for tensors of one shape the largest absolute difference."""


def kind_of(path: str | Path) -> str:
    """The format of a network on disk: folder, fairseq or huggingface.

    Raises:
        OFAError: there is nothing, or nothing known.
    """
    path = Path(path)
    if path.is_file():
        return "fairseq"
    if not path.exists():
        raise OFAError(f"no checkpoint at {path}")
    if (path / port.WEIGHTS).is_file() and not (path / own.WEIGHTS).is_file():
        return "huggingface"
    return "folder"


def read_any(path: str | Path, **overrides: Any) -> Weights:
    """Configuration and weights of a network in any known format."""
    readers = {"folder": own.load_folder, "fairseq": load_fairseq, "huggingface": port.load_huggingface}
    return readers[kind_of(path)](path, **overrides)


def inspect(path: str | Path) -> dict[str, Any]:
    """What a network on disk is: format, size, number of parameters and bytes, types, configuration."""
    config, state = read_any(path)
    files = [path] if Path(path).is_file() else [file for file in Path(path).iterdir() if file.is_file()]
    statistics = (".running_mean", ".running_var", ".num_batches_tracked")
    return {
        "format": kind_of(path),
        "size": size_of(state) or "of its own",
        "parameters": sum(tensor.numel() for name, tensor in state.items() if not name.endswith(statistics)),
        "tensors": len(state),
        "types": dict(Counter(str(tensor.dtype).removeprefix("torch.") for tensor in state.values())),
        "bytes": sum(Path(file).stat().st_size for file in files),
        "config": config.to_dict(),
    }


def diff(first: str | Path, second: str | Path) -> list[Difference]:
    """All differences between two networks on disk: configuration first, then tensors by name."""
    (config, state), (other_config, other) = read_any(first), read_any(second)
    fields, other_fields = config.to_dict(), other_config.to_dict()
    found = [
        Difference(name, f"{value!r} and {other_fields[name]!r}")
        for name, value in fields.items()
        if value != other_fields[name]
    ]
    for name in sorted(state.keys() | other.keys()):
        if name not in other or name not in state:
            found.append(Difference(name, f"only in {first if name in state else second}"))
        elif state[name].shape != other[name].shape:
            found.append(Difference(name, f"shape {tuple(state[name].shape)} and {tuple(other[name].shape)}"))
        elif not torch.equal(state[name], other[name]):
            largest = (state[name].double() - other[name].double()).abs().max().item()
            found.append(Difference(name, f"differs by up to {largest:.3g}"))
    return found


def convert(source: str | Path, target: str | Path, to: str) -> None:
    """Write a network in another format: folder, fairseq or huggingface.

    Raises:
        OFAError: the format is unknown, or cannot hold this network.
    """
    if to not in WRITERS:
        raise OFAError(f"no format '{to}'{nearest(to, list(WRITERS))}; there are {', '.join(WRITERS)}")
    config, state = read_any(source)
    WRITERS[to](target, config, state)
