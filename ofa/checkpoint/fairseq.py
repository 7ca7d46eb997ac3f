"""Checkpoints of the original code (fairseq's file format): reading their configuration and weights."""

import argparse
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ofa.checkpoint.names import BUFFERS, TIED, from_fairseq
from ofa.checkpoint.unpickle import Node, read
from ofa.errors import OFAError
from ofa.model.config import OFAConfig

logger = logging.getLogger(__name__)

RESNETS = {
    "resnet18": (2, 2, 2),
    "resnet34": (3, 4, 6),
    "resnet50": (3, 4, 6),
    "resnet101": (3, 4, 23),
    "resnet152": (3, 8, 36),
}
"""Blocks of the original's ResNets; all have bottleneck blocks."""

FIELDS = {
    "d_model": "encoder_embed_dim",
    "ffn_dim": "encoder_ffn_embed_dim",
    "encoder_heads": "encoder_attention_heads",
    "decoder_heads": "decoder_attention_heads",
    "encoder_layers": "encoder_layers",
    "decoder_layers": "decoder_layers",
    "freeze_resnet": "freeze_resnet",
    "sync_batch_norm": "sync_bn",
    "scale_attn": "scale_attn",
    "scale_fc": "scale_fc",
    "scale_heads": "scale_heads",
    "scale_resids": "scale_resids",
    "attn_scale_factor": "attn_scale_factor",
    "entangle_position_embedding": "entangle_position_embedding",
    "disable_entangle": "disable_entangle",
    "interpolate_position": "interpolate_position",
    "orig_patch_image_size": "orig_patch_image_size",
    "token_bucket_size": "token_bucket_size",
    "image_bucket_size": "image_bucket_size",
    "code_image_size": "code_image_size",
    "max_source_positions": "max_source_positions",
    "max_target_positions": "max_target_positions",
    "dropout": "dropout",
    "attention_dropout": "attention_dropout",
    "encoder_drop_path": "encoder_drop_path_rate",
    "decoder_drop_path": "decoder_drop_path_rate",
    "resnet_drop_path": "resnet_drop_path_rate",
    "bitfit": "bitfit",
}
"""Fields of our configuration that one argument of the original decides."""

ALWAYS = {
    "encoder_normalize_before": True,
    "decoder_normalize_before": True,
    "share_all_embeddings": True,
    "share_decoder_input_output_embed": True,
    "no_scale_embedding": True,
    "layernorm_embedding": True,
    "patch_layernorm_embedding": True,
    "code_layernorm_embedding": True,
    "add_type_embedding": True,
    "activation_fn": "gelu",
    "adaptive_input": False,
    "no_cross_attention": False,
    "cross_self_attention": False,
}
"""Arguments that have the same value in every network of the original."""


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
    if not isinstance(checkpoint, dict) or not isinstance(checkpoint.get("model"), dict):
        raise OFAError(f"{path} is not a checkpoint of the original code: it has no 'model'")
    weights = checkpoint["model"]
    if ema:
        weights = (checkpoint.get("extra_state") or {}).get("ema")
        if not weights:
            raise OFAError(f"{path} holds no moving average of the weights: load it without ema")
    config = config_from_args(model_arguments(checkpoint, path), weights, path, overrides)
    state = convert(weights, path)
    if config.freeze_resnet:
        state = {name: value for name, value in state.items() if not name.endswith(".num_batches_tracked")}
    logger.info("Loaded checkpoint %s%s", path, " (moving average)" if ema else "")
    return config, state


def convert(weights: Mapping[str, Tensor], path: str | Path) -> dict[str, Tensor]:
    """The original's weights under our names, in float32."""
    state: dict[str, Tensor] = {}
    for key, tensor in weights.items():
        if key in BUFFERS:
            continue
        name = from_fairseq(key)
        if name is None:
            raise OFAError(f"{path} holds '{key}', which no OFA network has")
        if name not in state:
            state[name] = tensor.float() if tensor.is_floating_point() else tensor
        elif not torch.equal(weights[TIED[0]], tensor):
            raise OFAError(f"{path}: '{key}' differs from '{TIED[0]}', but OFA has one token matrix")
    return state


def model_arguments(checkpoint: Mapping[str, Any], path: str | Path) -> dict[str, Any]:
    """The arguments of the network: `cfg.model` of newer files, `args` of older ones, as a plain dict."""
    cfg = plain(checkpoint.get("cfg"))
    arguments = plain(checkpoint.get("args")) if not cfg else plain(cfg.get("model"))
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


def config_from_args(
    arguments: Mapping[str, Any], weights: Mapping[str, Tensor], path: str | Path, overrides: Mapping[str, Any]
) -> OFAConfig:
    """Our configuration from the original's arguments; what they leave out follows from the weights' shapes."""
    for name, value in ALWAYS.items():
        if arguments.get(name, value) != value:
            raise OFAError(f"{path}: its network was built with {name} = {arguments[name]!r}, which OFA never uses")
    values = {ours: arguments[theirs] for ours, theirs in FIELDS.items() if arguments.get(theirs) is not None}
    for switch in ("scale_attn", "scale_fc", "scale_heads", "disable_entangle"):
        values.setdefault(switch, False)
    resnet = arguments.get("resnet_type")
    if resnet not in RESNETS:
        raise OFAError(f"{path}: its image stem is '{resnet}'; known are {', '.join(RESNETS)}")
    values["resnet_blocks"] = RESNETS[resnet]
    values["resnet_width"] = len(weights["encoder.embed_images.conv1.weight"])
    values["vocabulary_size"] = len(weights[TIED[0]])
    values["activation_dropout"] = arguments.get("activation_dropout") or arguments.get("relu_dropout") or 0.0
    values["freeze_embeddings"] = any(
        arguments.get(f"freeze_{stack}_embedding", False) for stack in ("encoder", "decoder")
    )
    values["adapter_dim"] = (arguments.get("adapter_dim") or 200) if arguments.get("adapter") else 0
    for stack in ("encoder", "decoder"):
        if arguments.get(f"{stack}_prompt"):
            values[f"{stack}_prompt_length"] = arguments[f"{stack}_prompt_length"]
            if arguments.get(f"{stack}_prompt_projection"):
                values[f"{stack}_prompt_projection"] = arguments[f"{stack}_prompt_dim"]
    return OFAConfig.from_dict(values | dict(overrides))
