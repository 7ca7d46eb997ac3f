"""Look at, compare and convert networks on disk."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ofa.checkpoint import fairseq as original
from ofa.checkpoint import folder as own
from ofa.checkpoint import huggingface as port
from ofa.checkpoint.fit import number_of_parameters, size_of
from ofa.checkpoint.unpickle import read
from ofa.errors import OFAError, nearest
from ofa.model.config import OFAConfig
from ofa.text import Tokenizer

Weights = tuple[OFAConfig, dict[str, Tensor]]

FORMATS = ("folder", "fairseq", "huggingface")
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
        raise OFAError(f"no checkpoint at {path}: give a .pt file, or a folder with config.json and weights")
    if (path / port.WEIGHTS).is_file() and not (path / own.WEIGHTS).is_file():
        return "huggingface"
    return "folder"


def read_any(path: str | Path, **overrides: Any) -> Weights:
    """Configuration and weights of a network in any known format."""
    kind = kind_of(path)
    if kind != "fairseq" and overrides.pop("ema", False):
        raise OFAError(f"{path} holds no moving average beside its weights: load it without ema")
    readers = {"folder": own.load_folder, "fairseq": original.load_fairseq, "huggingface": port.load_huggingface}
    return readers[kind](path, **overrides)


def read_config(path: str | Path) -> OFAConfig:
    """The configuration alone of a network in any known format; its weights are not read."""
    readers = {"folder": own.load_config, "fairseq": original.load_config, "huggingface": port.load_config}
    return readers[kind_of(path)](path)


def inspect(path: str | Path) -> dict[str, Any]:
    """What a network on disk is: format, size, vocabulary, number of parameters and bytes, types, configuration."""
    config, state = read_any(path)
    kind, tokenizer = kind_of(path), Tokenizer.of_size(config.vocabulary_size)
    files = [path] if Path(path).is_file() else [file for file in Path(path).iterdir() if file.is_file()]
    return {
        "format": kind,
        "size": size_of(state) or "of its own",
        "vocabulary": tokenizer.name if tokenizer else "of its own",
        "parameters": number_of_parameters(state),
        "tensors": len(state),
        "types as loaded": dict(Counter(str(tensor.dtype).removeprefix("torch.") for tensor in state.values())),
        "bytes": sum(Path(file).stat().st_size for file in files),
        "moving average": "yes" if kind == "fairseq" and original.moving_average(read(path)) else "no",
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


def convert(source: str | Path, target: str | Path, to: str, ema: bool = False) -> None:
    """Write a network in another format: folder, fairseq or huggingface; with `ema` the moving average of its weights.

    Raises:
        OFAError: the format is unknown, or cannot hold this network; there is no moving average.
    """
    if to not in FORMATS:
        raise OFAError(f"no format '{to}'{nearest(to, list(FORMATS))}; there are {', '.join(FORMATS)}")
    config, state = read_any(source, ema=ema)
    if to == "fairseq":
        original.save_fairseq(target, config, state)
    elif to == "huggingface":
        port.save_huggingface(target, config, state)
    else:
        origin = f"Converted from `{Path(source).name}`" + (", the moving average of its weights." if ema else ".")
        own.save_folder(target, (config, state), {"Origin": origin})
