"""The arguments of the original's networks and our configuration."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from ofa.checkpoint.names import STEM, TIED
from ofa.errors import OFAError
from ofa.model.config import PRESETS, OFAConfig

RESNETS = {
    "resnet18": (2, 2, 2),
    "resnet34": (3, 4, 6),
    "resnet50": (3, 4, 6),
    "resnet101": (3, 4, 23),
    "resnet152": (3, 8, 36),
}
"""Blocks of the original's ResNets; all have bottleneck blocks."""

PUBLISHED = ("tiny", "medium", "base", "large", "huge")
"""Sizes whose architectures the original registers; they fill in arguments that a file leaves out."""

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


def config_from_args(
    arguments: Mapping[str, Any], weights: Mapping[str, Tensor], path: str | Path, overrides: Mapping[str, Any]
) -> OFAConfig:
    """Our configuration from the original's arguments; what they leave out follows from the weights' shapes."""
    for name, value in ALWAYS.items():
        if arguments.get(name, value) != value:
            raise OFAError(f"{path}: its network was built with {name} = {arguments[name]!r}, which OFA never uses")
    values = {ours: arguments[theirs] for ours, theirs in FIELDS.items() if arguments.get(theirs) is not None}
    for stack in ("encoder", "decoder"):
        layers = len({key.split(".")[2] for key in weights if key.startswith(f"{stack}.layers.")})
        if values.get(f"{stack}_layers") != layers:
            told = values.get(f"{stack}_layers")
            raise OFAError(f"{path} is damaged: its arguments tell of {told} {stack} layers, its weights of {layers}")
    for switch in ("scale_attn", "scale_fc", "scale_heads", "disable_entangle"):
        values.setdefault(switch, False)
    if values.get("sync_batch_norm"):
        values["freeze_resnet"] = False  # the original looks at --sync-bn first
    resnet = arguments.get("resnet_type")
    if resnet not in RESNETS:
        raise OFAError(f"{path}: its image stem is '{resnet}'; known are {', '.join(RESNETS)}")
    values["resnet_blocks"] = RESNETS[resnet]
    values["resnet_width"] = len(weights[STEM])
    values["vocabulary_size"] = len(weights[TIED[0]])
    if arguments.get("output_ids") is not None:
        values["output_ids"] = tuple(arguments["output_ids"])
    values["activation_dropout"] = arguments.get("activation_dropout") or arguments.get("relu_dropout") or 0.0
    values["freeze_embeddings"] = any(
        arguments.get(f"freeze_{stack}_embedding", False) for stack in ("encoder", "decoder")
    )
    values["adapter_dim"] = (arguments.get("adapter_dim") or 200) if arguments.get("adapter") else 0
    for stack in ("encoder", "decoder"):
        if arguments.get(f"{stack}_prompt"):
            values[f"{stack}_prompt_length"] = arguments.get(f"{stack}_prompt_length") or 100
            if arguments.get(f"{stack}_prompt_projection"):
                projection = arguments.get(f"{stack}_prompt_dim") or 2 * arguments["encoder_embed_dim"]
                values[f"{stack}_prompt_projection"] = projection
    try:
        return OFAConfig.from_dict(values | dict(overrides))
    except (TypeError, ValueError) as error:
        raise OFAError(f"{path}: no network can be built from its arguments: {error}") from error


CONSTANTS = {
    "encoder_learned_pos": True,
    "decoder_learned_pos": True,
    "encoder_embed_path": None,
    "decoder_embed_path": None,
    "encoder_layerdrop": 0,
    "decoder_layerdrop": 0,
    "encoder_layers_to_keep": None,
    "decoder_layers_to_keep": None,
    "no_token_positional_embeddings": False,
    "quant_noise_pq": 0,
    "quant_noise_pq_block_size": 8,
    "quant_noise_scalar": 0,
    "adaptive_softmax_cutoff": None,
    "adaptive_softmax_dropout": 0,
    "tie_adaptive_weights": False,
    "min_params_to_wrap": 100000000,
    "checkpoint_activations": False,
    "offload_activations": False,
    "pooler_activation_fn": "tanh",
    "pooler_dropout": 0.0,
    "pooler_classifier": "mlp",
    "encoder_prompt_type": "prefix",
    "decoder_prompt_type": "prefix",
    "task": "caption",
    "criterion": "adjust_label_smoothed_cross_entropy",
}
"""Arguments that the original's code asks for, with the values that all its checkpoints have."""


def args_from_config(config: OFAConfig) -> argparse.Namespace:
    """The original's arguments for a configuration: the inverse of `config_from_args`.

    Raises:
        OFAError: the original has no such image stem.
    """
    resnet = next((name for name in sorted(RESNETS, reverse=True) if RESNETS[name] == config.resnet_blocks), None)
    if resnet is None or config.resnet_width != 64:
        raise OFAError(
            f"the original's code has no image stem of {config.resnet_blocks} blocks and width {config.resnet_width}: "
            "save this network in our own format"
        )
    values: dict[str, Any] = {theirs: getattr(config, ours) for ours, theirs in FIELDS.items()}
    for field in ("embed_dim", "output_dim", "input_dim"):
        values[f"decoder_{field}"] = config.d_model
    values["decoder_ffn_embed_dim"] = config.ffn_dim
    values["resnet_type"] = resnet
    values["vocab_size"] = config.vocabulary_size
    values["relu_dropout"] = values["activation_dropout"] = config.activation_dropout
    values["freeze_encoder_embedding"] = values["freeze_decoder_embedding"] = config.freeze_embeddings
    values["adapter"], values["adapter_dim"] = config.adapter_dim > 0, config.adapter_dim or 200
    for stack in ("encoder", "decoder"):
        length, projection = getattr(config, f"{stack}_prompt_length"), getattr(config, f"{stack}_prompt_projection")
        values[f"{stack}_prompt"], values[f"{stack}_prompt_length"] = length > 0, length or 100
        values[f"{stack}_prompt_projection"] = projection > 0
        values[f"{stack}_prompt_dim"] = projection or 2 * config.d_model
    if config.output_ids is not None:
        values["output_ids"] = list(config.output_ids)
    size = next((name for name in PUBLISHED if PRESETS[name]["d_model"] == config.d_model), "base")
    arch = f"ofa_{size}"
    return argparse.Namespace(**CONSTANTS, **ALWAYS, **values, arch=arch, _name=arch)
