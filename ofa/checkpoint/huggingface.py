"""The layout of the Hugging Face port of OFA (`OFA-Sys/ofa-base` and others): config.json and pytorch_model.bin.

Not verified: the mapping follows the port's source and its converter of the original's files, and is tested by round
trip; no file of the port was at hand.
"""

import json
import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ofa.checkpoint.arguments import RESNETS, args_from_config
from ofa.checkpoint.fairseq import buffers, check_weights, convert
from ofa.checkpoint.names import to_fairseq
from ofa.checkpoint.unpickle import read
from ofa.errors import OFAError
from ofa.files import atomic_write
from ofa.model.config import OFAConfig

logger = logging.getLogger(__name__)

CONFIG, WEIGHTS = "config.json", "pytorch_model.bin"

FIELDS = {
    "vocabulary_size": "vocab_size",
    "d_model": "d_model",
    "ffn_dim": "encoder_ffn_dim",
    "encoder_heads": "encoder_attention_heads",
    "decoder_heads": "decoder_attention_heads",
    "encoder_layers": "encoder_layers",
    "decoder_layers": "decoder_layers",
    "dropout": "dropout",
    "attention_dropout": "attention_dropout",
    "activation_dropout": "activation_dropout",
    "encoder_drop_path": "encoder_drop_path_rate",
    "decoder_drop_path": "decoder_drop_path_rate",
    "resnet_drop_path": "resnet_drop_path_rate",
    "token_bucket_size": "token_bucket_size",
    "image_bucket_size": "image_bucket_size",
    "attn_scale_factor": "attn_scale_factor",
    "code_image_size": "code_image_size",
    "entangle_position_embedding": "entangle_position_embedding",
    "max_source_positions": "max_position_embeddings",
    "max_target_positions": "max_position_embeddings",
}
"""Fields of our configuration that have a counterpart in the port's config.json."""

CONSTANTS = {
    "model_type": "ofa",
    "activation_function": "gelu",
    "scale_embedding": False,
    "encoder_normalize_before": True,
    "decoder_normalize_before": True,
    "layernorm_embedding": True,
    "patch_layernorm_embedding": True,
    "code_layernorm_embedding": True,
    "add_type_embedding": True,
    "share_decoder_input_output_embed": True,
}
"""Values that every OFA network has there."""

TOKENS = {
    "pad_token_id": 1,
    "bos_token_id": 0,
    "eos_token_id": 2,
    "decoder_start_token_id": 0,
    "forced_eos_token_id": 2,
    "is_encoder_decoder": True,
}

_LAYER_NAMES = {
    "encoder": {
        "attn_ln.": "self_attn_mid_layer_norm.",
        "ffn_layernorm.": "ffn_layer_norm.",
    },
    "decoder": {
        "self_attn_ln.": "self_attn_mid_layer_norm.",
        "cross_attn_ln.": "cross_attn_mid_layer_norm.",
        "encoder_attn.": "cross_attn.",
        "encoder_attn_layer_norm.": "cross_attn_layer_norm.",
        "ffn_layernorm.": "ffn_layer_norm.",
    },
}
"""Parts of layers that the port names differently from the original."""


def load_huggingface(folder: str | Path, **overrides: Any) -> tuple[OFAConfig, dict[str, Tensor]]:
    """Read a network of the port: the configuration, with some fields changed, and the weights in float32.

    Raises:
        OFAError: a file is missing or damaged, or the network is not OFA's.
    """
    folder = Path(folder)
    config = load_config(folder, **overrides)
    stored = read(folder / WEIGHTS)
    if not isinstance(stored, dict):
        raise OFAError(f"{folder / WEIGHTS} is not a state dict: it must hold tensors by name")
    weights = {_from_port(str(name).removeprefix("model.")): tensor for name, tensor in stored.items()}
    check_weights(weights, folder / WEIGHTS)
    state = convert(weights, folder)
    logger.info("Loaded checkpoint %s", folder)
    return config, state


def load_config(folder: str | Path, **overrides: Any) -> OFAConfig:
    """The configuration alone of a network of the port, with some fields changed.

    Raises:
        OFAError: the file is missing or damaged, or the network is not OFA's.
    """
    path = Path(folder) / CONFIG
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError) as error:
        raise OFAError(f"no network of the Hugging Face port in {folder}: {error}") from error
    for name, value in CONSTANTS.items():
        if values.get(name, value) != value:
            raise OFAError(f"{path}: {name} = {values[name]!r}, which OFA never uses")
    if values.get("resnet_type") not in RESNETS:
        raise OFAError(f"{path}: unknown image stem {values.get('resnet_type')!r}")
    fields = {ours: values[theirs] for ours, theirs in FIELDS.items() if theirs in values}
    fields["resnet_blocks"] = RESNETS[values["resnet_type"]]
    # The port's "normformer" is the layer norms of scale_attn and scale_fc; it always scales heads.
    fields["scale_attn"] = fields["scale_fc"] = values.get("normformer", True)
    fields["disable_entangle"] = not fields.get("entangle_position_embedding") or values.get("disable_entangle", False)
    return OFAConfig.from_dict(fields | overrides)


def save_huggingface(folder: str | Path, config: OFAConfig, state: Mapping[str, Tensor]) -> None:
    """Write a network in the port's layout.

    Raises:
        OFAError: the port cannot build such a network (prompts, adapters, other switches).
    """
    plain = OFAConfig()
    kept = {"scale_resids", "scale_heads", "adapter_dim", "encoder_prompt_length", "decoder_prompt_length"}
    kept |= {"interpolate_position"}
    for name in sorted(kept):
        if getattr(config, name) != getattr(plain, name):
            raise OFAError(f"the Hugging Face port has no {name} = {getattr(config, name)!r}")
    if config.scale_attn != config.scale_fc or config.max_source_positions != config.max_target_positions:
        raise OFAError("the Hugging Face port has one switch for scale_attn and scale_fc and one longest text")
    if not config.disable_entangle and not config.entangle_position_embedding:
        raise OFAError("the Hugging Face port adds positions in the decoder only if it does in the encoder")
    values = CONSTANTS | TOKENS | {theirs: getattr(config, ours) for ours, theirs in FIELDS.items()}
    values["architectures"] = ["OFAModel"]
    values["decoder_ffn_dim"] = config.ffn_dim
    values["resnet_type"] = args_from_config(config).resnet_type
    values["normformer"] = config.scale_attn
    values["disable_entangle"] = config.disable_entangle
    weights = {name: tensor for name, tensor in buffers(config).items() if not name.endswith(".version")}
    # The port's filler is one id shorter than the original's.
    weights["decoder.image_position_idx"] = weights["decoder.image_position_idx"][:-1].clone()
    for name, tensor in state.items():
        weights.update(dict.fromkeys(to_fairseq(name), tensor.detach().cpu().contiguous()))
    with atomic_write(Path(folder) / WEIGHTS, "wb") as file:
        torch.save({_to_port(name): tensor for name, tensor in weights.items()}, file)
    with atomic_write(Path(folder) / CONFIG) as file:
        json.dump(values, file, indent=2)
        file.write("\n")


def _rename(name: str, swap: bool) -> str:
    match = re.fullmatch(r"((encoder|decoder)\.layers\.\d+\.)(.+)", name)
    if match is None:
        return name
    for original, port in _LAYER_NAMES[match[2]].items():
        old, new = (port, original) if swap else (original, port)
        if match[3].startswith(old):
            return match[1] + new + match[3][len(old) :]
    return name


def _to_port(name: str) -> str:
    return _rename(name, swap=False)


def _from_port(name: str) -> str:
    return _rename(name, swap=True)
