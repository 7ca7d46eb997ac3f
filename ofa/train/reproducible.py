"""What makes a run repeatable: random numbers as a function of the step, and a record of what decides the result."""

import hashlib
import json
import random
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch import nn

from ofa.train.config import BOOKKEEPING, TrainConfig


def seed_everything(*numbers: int) -> None:
    """Start every random generator at a point that depends on nothing but `numbers`."""
    digest = hashlib.sha256(repr(numbers).encode()).digest()
    torch.manual_seed(int.from_bytes(digest[:7]))
    random.seed(digest)
    np.random.seed(int.from_bytes(digest[:4]))


def fingerprint(net: nn.Module, config: TrainConfig, identity: Mapping[str, Any] | None) -> dict[str, Any]:
    """What decides the result of a run; a checkpoint is resumed by a run with the same only.

    The weights that training starts from count: a finetuning whose pretrained network was trained anew starts over.
    """
    settings = {name: value for name, value in asdict(config).items() if name not in BOOKKEEPING}
    network = net.config.to_dict() if hasattr(net, "config") else {}
    start = hashlib.sha256()
    for name, tensor in net.state_dict().items():
        start.update(f"{name} {tuple(tensor.shape)}".encode())
        start.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())
    hashes = {"network": _short(hashlib.sha256(json.dumps(network).encode())), "initial weights": _short(start)}
    return json.loads(json.dumps(settings | hashes | dict(identity or {})))


def _short(digest: Any) -> str:
    return digest.hexdigest()[:16]


def difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """What changed between two fingerprints, key by key, in words; "" when nothing did."""
    old, new = dict(_leaves(old)), dict(_leaves(new))
    names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    return ", ".join(f"{name}: {old.get(name)} then, {new.get(name)} now" for name in names)


def _leaves(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value
