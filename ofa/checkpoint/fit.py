"""Putting weights into a network whose shape differs a little, as the original does; each adaptation is logged."""

import logging
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from ofa.errors import OFAError
from ofa.model import OFAModel
from ofa.model.config import PRESETS

logger = logging.getLogger(__name__)

GROWING = (
    "embed_tokens.weight",
    "encoder.image_positions.weight",
    "decoder.image_positions.weight",
    "encoder.token_positions.weight",
    "decoder.token_positions.weight",
)
"""Tables that may have more rows in the network than in the file; the new rows come after the file's."""
SHOWN = 8
"""Names listed in a message before the rest is counted."""


def restore(net: OFAModel, state: Mapping[str, Tensor], path: str | Path) -> None:
    """Load weights into a network.

    Rows that a table of the network has beyond the file's are drawn from N(0, D ** -0.5). Tensors that the file does
    not have keep the values of the network.

    Args:
        net: the network, initialized.
        state: weights under our names.
        path: where they come from, for messages.

    Raises:
        OFAError: shapes differ otherwise, or the file has tensors that the network has not. Names both and, if it can
            be told, the size that the file is of.
    """
    own = net.state_dict()
    counters = {name for name in {**own, **state} if name.endswith(".num_batches_tracked")}
    unknown = [name for name in state if name not in own and name not in counters]
    if unknown:
        raise OFAError(f"{path} holds {len(unknown)} tensors that the network does not have: {_some(unknown)}")
    result, missing, different = {}, [], []
    for name, tensor in own.items():
        given = state.get(name)
        if given is None:
            if name not in counters:
                missing.append(name)
        elif given.shape == tensor.shape:
            result[name] = given
        elif name in GROWING and given.shape[1:] == tensor.shape[1:] and len(given) < len(tensor):
            rows = torch.empty(len(tensor) - len(given), *given.shape[1:]).normal_(std=given.shape[1] ** -0.5)
            result[name] = torch.cat([given.cpu(), rows.to(given.dtype)])
            logger.info("%s: %s grew from %d to %d rows", path, name, len(given), len(tensor))
        else:
            different.append(f"{name} {tuple(given.shape)} for {tuple(tensor.shape)}")
    if different:
        raise OFAError(
            f"{path} does not fit the network; {len(different)} tensors have another shape in the file: "
            f"{_some(different)}{_advice(state, own)}"
        )
    if missing:
        logger.info("%s: kept the network's own values of %d tensors: %s", path, len(missing), _some(missing))
    net.load_state_dict(result, strict=False)


def number_of_parameters(state: Mapping[str, Tensor]) -> int:
    """How many numbers of a state dict are weights rather than statistics of batch norm."""
    statistics = (".running_mean", ".running_var", ".num_batches_tracked")
    return sum(tensor.numel() for name, tensor in state.items() if not name.endswith(statistics))


def size_of(state: Mapping[str, Tensor]) -> str | None:
    """The size that weights under our names are of, None if it is none of ours."""

    def count(prefix: str) -> int:
        return len({name[len(prefix) :].split(".")[0] for name in state if name.startswith(prefix)})

    blocks = tuple(count(f"encoder.resnet.layer{stage}.") for stage in (1, 2, 3))
    layers = count("encoder.layers."), count("decoder.layers.")
    width = state["embed_tokens.weight"].shape[1] if "embed_tokens.weight" in state else 0
    for name, preset in PRESETS.items():
        expected = preset["encoder_layers"], preset["decoder_layers"]
        if (width, layers, blocks) == (preset["d_model"], expected, preset["resnet_blocks"]):
            return name
    return None


def _advice(state: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> str:
    theirs, ours = size_of(state), size_of(own)
    if theirs is None or theirs == ours:
        return ""
    return f". The file is of the size '{theirs}'{f', not {ours!r}' if ours else ''}: build the network with that size"


def _some(names: list[str]) -> str:
    rest = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {rest} more" if rest > 0 else "")
