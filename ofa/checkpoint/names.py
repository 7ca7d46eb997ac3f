"""Names of tensors: ours, and those of the original code."""

import re

TIED = ("encoder.embed_tokens.weight", "decoder.embed_tokens.weight", "decoder.output_projection.weight")
"""The original's three names of the token matrix."""

STEM = "encoder.embed_images.conv1.weight"
"""The original's name of the first convolution, whose rows are the width of the image stem."""

BUFFERS = (
    "encoder.version",
    "encoder.token_rp_bucket",
    "encoder.image_rp_bucket",
    "decoder.version",
    "decoder.token_rp_bucket",
    "decoder.image_rp_bucket",
    "decoder.image_position_idx",
)
"""Names in the original's files that hold no weights: they follow from the configuration."""

_STACK = {
    "resnet.": "embed_images.",
    "image_projection.": "image_proj.",
    "types.": "type_embedding.",
    "token_norm.": "layernorm_embedding.",
    "patch_norm.": "patch_layernorm_embedding.",
    "code_norm.": "code_layernorm_embedding.",
    "token_positions.": "embed_positions.",
    "image_positions.": "embed_image_positions.",
    "token_position_norm.": "pos_ln.",
    "image_position_norm.": "image_pos_ln.",
    "token_bias.": "token_rel_pos_table_list.",
    "image_bias.": "image_rel_pos_table_list.",
    "norm.": "layer_norm.",
}
_ENCODER = {
    "position_scores.query.": "pos_q_linear.",
    "position_scores.key.": "pos_k_linear.",
    "prompt.embedding.": "encoder_prompt_encoder.embedding.",
    "prompt.hidden.": "encoder_prompt_encoder.trans.0.",
    "prompt.output.": "encoder_prompt_encoder.trans.2.",
}
_DECODER = {
    "position_scores.query.": "self_pos_q_linear.",
    "position_scores.key.": "self_pos_k_linear.",
    "cross_position_scores.query.": "cross_pos_q_linear.",
    "cross_position_scores.key.": "cross_pos_k_linear.",
    "prompt.embedding.": "decoder_prompt_encoder.embedding.",
    "prompt.hidden.": "decoder_prompt_encoder.trans.0.",
    "prompt.output.": "decoder_prompt_encoder.trans.2.",
}
_ATTENTION = {
    "query.": "q_proj.",
    "key.": "k_proj.",
    "value.": "v_proj.",
    "output.": "out_proj.",
    "head_scale": "c_attn",
}
_LAYER = {
    "attention_norm.": "self_attn_layer_norm.",
    "cross_attention_norm.": "encoder_attn_layer_norm.",
    "cross_attention_output_norm.": "cross_attn_ln.",
    "feed_forward_norm.": "final_layer_norm.",
    "feed_forward.up.": "fc1.",
    "feed_forward.inner_norm.": "ffn_layernorm.",
    "feed_forward.down.": "fc2.",
    "feed_forward.adapter.down.": "adapter.down_proj.",
    "feed_forward.adapter.up.": "adapter.up_proj.",
    "residual_scale": "w_resid",
}
for _ours, _theirs in _ATTENTION.items():
    _LAYER[f"attention.{_ours}"] = f"self_attn.{_theirs}"
    _LAYER[f"cross_attention.{_ours}"] = f"encoder_attn.{_theirs}"

_OURS_TO_THEIRS = {
    "encoder": _STACK | _ENCODER,
    "decoder": _STACK | _DECODER,
    "encoder.layer": _LAYER | {"attention_output_norm.": "attn_ln."},
    "decoder.layer": _LAYER | {"attention_output_norm.": "self_attn_ln."},
}
_THEIRS_TO_OURS = {part: {new: old for old, new in table.items()} for part, table in _OURS_TO_THEIRS.items()}


def _rename(name: str, tables: dict[str, dict[str, str]]) -> str | None:
    match = re.fullmatch(r"(encoder|decoder)\.((layers\.\d+)\.)?(.+)", name)
    if match is None:
        return None
    stack, _, layer, rest = match.groups()
    for old, new in tables[f"{stack}.layer" if layer else stack].items():
        if rest == old or (old.endswith(".") and rest.startswith(old)):
            return ".".join(filter(None, (stack, layer, new + rest[len(old) :])))
    return None


def to_fairseq(name: str) -> tuple[str, ...]:
    """The original's names of one of our tensors: three for the token matrix, else one."""
    if name == "embed_tokens.weight":
        return TIED
    renamed = _rename(name, _OURS_TO_THEIRS)
    if renamed is None:
        raise KeyError(name)
    return (renamed,)


def from_fairseq(name: str) -> str | None:
    """Our name of a tensor of the original, None for a name that its network does not have."""
    return "embed_tokens.weight" if name in TIED else _rename(name, _THEIRS_TO_OURS)
