"""Checkpoints of the original code, in fairseq's file format: read and written."""

import argparse
import logging
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ofa.checkpoint.arguments import args_from_config, config_from_args
from ofa.checkpoint.names import BUFFERS, STEM, TIED, from_fairseq, to_fairseq
from ofa.checkpoint.unpickle import Node, read
from ofa.errors import OFAError
from ofa.files import atomic_write
from ofa.model.config import OFAConfig
from ofa.model.positions import code_ids, image_buckets, token_buckets

logger = logging.getLogger(__name__)

LAYER_NORMS = {
    "encoder": ("self_attn_layer_norm", "final_layer_norm"),
    "decoder": ("self_attn_layer_norm", "encoder_attn_layer_norm", "final_layer_norm"),
}
"""Names of the layer norms that old fairseq versions number."""


def load_fairseq(path: str | Path, ema: bool = False, **overrides: Any) -> tuple[OFAConfig, dict[str, Tensor]]:
    """Read a checkpoint of the original code.

    Args:
        path: a `.pt` file, such as the published `ofa_base.pt`.
        ema: take the moving average of the weights, where the file has one.
        overrides: fields of the configuration that shall differ from the file's.

    Returns:
        the configuration, and the weights under our names in float32.

    Raises:
        OFAError: the file is missing or damaged, could run code, or is of a network that is not OFA.
    """
    checkpoint = read(path)
    weights = stored_weights(checkpoint, ema, path)
    config = config_from_args(model_arguments(checkpoint, path), weights, path, overrides)
    state = convert(upgrade(weights, path), path)
    if config.freeze_resnet:
        counters = [name for name in state if name.endswith(".num_batches_tracked")]
        for name in counters:
            del state[name]
        if counters:
            logger.info("%s: left out %d counters of batches, frozen batch norm counts none", path, len(counters))
    logger.info("Loaded checkpoint %s%s", path, " (moving average)" if ema else "")
    return config, state


def load_config(path: str | Path, **overrides: Any) -> OFAConfig:
    """The configuration alone of a checkpoint of the original code; see `load_fairseq`."""
    checkpoint = read(path)
    weights = stored_weights(checkpoint, False, path)
    return config_from_args(model_arguments(checkpoint, path), weights, path, overrides)


def stored_weights(checkpoint: Any, ema: bool, path: str | Path) -> dict[str, Tensor]:
    """The weights that a file holds, or their moving average, under the original's names."""
    weights = checkpoint.get("model") if isinstance(checkpoint, dict) else None
    if not isinstance(weights, dict):
        raise OFAError(f"{path} is not a checkpoint of the original code: it has no 'model'")
    if ema:
        weights = moving_average(checkpoint)
        if not weights:
            raise OFAError(f"{path} holds no moving average of the weights: load it without ema")
    check_weights(weights, path)
    return weights


def check_weights(weights: Mapping[Any, Any], path: str | Path) -> None:
    """Refuse what cannot be the weights of an OFA network under the original's names."""
    for key, tensor in weights.items():
        if not isinstance(key, str) or not isinstance(tensor, Tensor):
            raise OFAError(f"{path}: {key!r} of its weights is of type {type(tensor).__name__}, not a named tensor")
    for key in (TIED[0], STEM):
        if key not in weights:
            raise OFAError(f"{path} lacks '{key}', which every OFA network has")


def moving_average(checkpoint: Mapping[str, Any]) -> dict[str, Tensor] | None:
    """The moving average of the weights in a checkpoint, None where there is none."""
    extra = checkpoint.get("extra_state")
    average = extra.get("ema") if isinstance(extra, dict) else None
    return average if isinstance(average, dict) else None


def upgrade(weights: Mapping[str, Tensor], path: str | Path) -> dict[str, Tensor]:
    """Weights of older fairseq versions under the names of the last one; each change is logged."""
    upgraded: dict[str, Tensor] = {}
    for key, tensor in weights.items():
        if key.startswith("classification_heads."):
            logger.warning("%s: left out '%s', no task uses classification heads", path, key)
            continue
        parts = [(key, tensor)]
        if match := re.fullmatch(r"((encoder|decoder)\.layers\.\d+)\.layer_norms\.(\d)\.(weight|bias)", key):
            layer, stack, number, kind = match.groups()
            parts = [(f"{layer}.{LAYER_NORMS[stack][int(number)]}.{kind}", tensor)]
        elif match := re.fullmatch(r"(.+attn)\.in_proj_(weight|bias)", key):
            thirds = zip(("q_proj", "k_proj", "v_proj"), tensor.chunk(3), strict=True)
            parts = [(f"{match[1]}.{name}.{match[2]}", third) for name, third in thirds]
        elif key == "decoder.embed_out":
            parts = [("decoder.output_projection.weight", tensor)]
        if parts[0][0] != key:
            logger.info("%s: '%s' is now '%s'", path, key, "', '".join(name for name, _ in parts))
        upgraded.update(parts)
    return upgraded


def convert(weights: Mapping[str, Tensor], path: str | Path) -> dict[str, Tensor]:
    """The original's weights under our names, in float32."""
    state: dict[str, Tensor] = {}
    widened: Counter[str] = Counter()
    for key, tensor in weights.items():
        if key in BUFFERS:
            continue
        name = from_fairseq(key)
        if name is None:
            raise OFAError(f"{path} holds '{key}', which no OFA network has")
        if name not in state:
            state[name] = tensor.float() if tensor.is_floating_point() else tensor
            if state[name].dtype != tensor.dtype:
                widened[str(tensor.dtype).removeprefix("torch.")] += 1
        elif not torch.equal(state[name], tensor.float()):
            raise OFAError(f"{path}: '{key}' differs from '{TIED[0]}', but OFA has one token matrix")
    for key in TIED:
        if key not in weights:
            logger.info("%s: '%s' is missing and became the token matrix '%s'", path, key, TIED[0])
    for dtype, count in widened.items():
        logger.info("%s: %d tensors of type %s became float32", path, count, dtype)
    return state


def model_arguments(checkpoint: Mapping[str, Any], path: str | Path) -> dict[str, Any]:
    """The arguments of the network: `cfg.model` of newer files, `args` of older ones, as a plain dict."""
    try:
        cfg = plain(checkpoint.get("cfg"))
        arguments = plain(cfg.get("model")) if isinstance(cfg, dict) and cfg else plain(checkpoint.get("args"))
    except RecursionError:
        raise OFAError(f"{path} is damaged: its 'cfg' or 'args' are nested without end") from None
    if not isinstance(arguments, dict) or "encoder_embed_dim" not in arguments:
        raise OFAError(f"{path} does not say how its network is built: 'cfg' and 'args' lack the model's arguments")
    return arguments


def plain(value: Any) -> Any:
    """Namespaces and omegaconf nodes as dicts, lists and values."""
    if isinstance(value, argparse.Namespace):
        return vars(value)
    if isinstance(value, Node) and isinstance(value.state, dict):
        content = value.state.get("_content", value.state.get("_val"))
        return plain(content)
    if isinstance(value, dict):
        return {plain(key): plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value


def save_fairseq(path: str | Path, config: OFAConfig, state: Mapping[str, Tensor]) -> None:
    """Write a checkpoint that the original code reads.

    It has the original's names, the token matrix under all three of them (stored once), the original's tables of
    bucket numbers, and the arguments that its loader asks for.

    Args:
        path: the file to write, at once.
        config, state: configuration and weights, as `load_fairseq` returns them; it gives them back bit by bit.

    Raises:
        OFAError: the original has no such network.
    """
    arguments = args_from_config(config)
    weights = buffers(config)
    for name, tensor in state.items():
        weights.update(dict.fromkeys(to_fairseq(name), tensor.detach().cpu().contiguous()))
    checkpoint = {
        "args": None,
        "cfg": {"_name": None, "common": {"_name": None}, "model": arguments, "task": {"_name": "caption"}},
        "model": weights,
        "criterion": None,
        "optimizer_history": [
            {
                "criterion_name": "AdjustLabelSmoothedCrossEntropyCriterion",
                "optimizer_name": "Adam",
                "lr_scheduler_state": {"best": None},
                "num_updates": 0,
            }
        ],
        "task_state": {},
        "extra_state": {"epoch": 1},
        "last_optimizer_state": None,
    }
    with atomic_write(path, "wb") as file:
        torch.save(checkpoint, file)


def buffers(config: OFAConfig) -> dict[str, Tensor]:
    """The tensors of the original's files that follow from the configuration, under its names."""
    size, window = config.image_bucket_size, config.code_window
    # The original's tables do not grow with longer texts.
    text, image = torch.arange(1024), torch.arange(size * size + 1)
    token_table, image_table = token_buckets(text, text, config.token_bucket_size), image_buckets(image, image, size)
    tables: dict[str, Tensor] = {}
    for stack in ("encoder", "decoder"):
        tables[f"{stack}.version"] = torch.tensor([3.0])
        tables[f"{stack}.token_rp_bucket"] = token_table
        tables[f"{stack}.image_rp_bucket"] = image_table
    tables["decoder.image_position_idx"] = code_ids(torch.arange(window * window + 1 + 769), window, size)
    return tables
