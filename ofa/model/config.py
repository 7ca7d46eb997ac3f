"""The configuration of the network: one frozen dataclass, and one table with every size."""

import dataclasses
from dataclasses import dataclass
from typing import Any

from ofa.errors import OFAError, nearest
from ofa.settings import from_fields

PRESETS: dict[str, dict[str, Any]] = {
    "nano": dict(
        d_model=128, ffn_dim=512, encoder_heads=4, decoder_heads=4, encoder_layers=2, decoder_layers=2,
        resnet_blocks=(2, 2, 2), resnet_width=16, init_std=0.08,
        entangle_position_embedding=True, disable_entangle=False,
        dropout=0.0, encoder_drop_path=0.0, decoder_drop_path=0.0,
    ),
    "tiny": dict(
        d_model=256, ffn_dim=1024, encoder_heads=4, decoder_heads=4, encoder_layers=4, decoder_layers=4,
        resnet_blocks=(3, 4, 6),
    ),
    "medium": dict(
        d_model=512, ffn_dim=2048, encoder_heads=8, decoder_heads=8, encoder_layers=4, decoder_layers=4,
        resnet_blocks=(3, 4, 23),
    ),
    "base": dict(
        d_model=768, ffn_dim=3072, encoder_heads=12, decoder_heads=12, encoder_layers=6, decoder_layers=6,
        resnet_blocks=(3, 4, 23),
    ),
    "large": dict(
        d_model=1024, ffn_dim=4096, encoder_heads=16, decoder_heads=16, encoder_layers=12, decoder_layers=12,
        resnet_blocks=(3, 8, 36),
    ),
    "huge": dict(
        d_model=1280, ffn_dim=5120, encoder_heads=16, decoder_heads=16, encoder_layers=24, decoder_layers=12,
        resnet_blocks=(3, 8, 36),
    ),
}  # fmt: skip
"""Every size. tiny to huge are the paper's (arXiv 2202.03052, section 3.5, table 1), nano is for CPUs and for tests."""


@dataclass(frozen=True, kw_only=True)
class OFAConfig:
    """Everything that decides the shape of the network and how it computes.

    Defaults are the values of the original's scripts. The parts that the original always has are not options: layer
    norm before each block and at the end of each stack, one matrix for source, target and output tokens, layer norms
    on the token, patch and code embeddings, the type embedding and exact GELU.
    """

    vocabulary_size: int = 59457
    """Rows of the token matrix: text, 8192 image codes, 1000 coordinate bins."""
    output_ids: tuple[int, ...] | None = None
    """The vocabulary rows that the output layer scores, ascending; None scores all. Every other id can be read as
    input but never be produced: its logit is -inf. Makes small networks on a CPU several times faster."""

    d_model: int = 768
    """Width of the residual stream; a multiple of both head counts."""
    ffn_dim: int = 3072
    """Width inside the feed-forward blocks."""
    encoder_heads: int = 12
    """Attention heads of the encoder."""
    decoder_heads: int = 12
    """Attention heads of the decoder, in self- and cross-attention."""
    encoder_layers: int = 6
    """Transformer layers of the encoder."""
    decoder_layers: int = 6
    """Transformer layers of the decoder."""

    resnet_blocks: tuple[int, int, int] = (3, 4, 23)
    """Bottleneck blocks of the three ResNet stages: (3, 4, 6) is ResNet-50, (3, 4, 23) 101, (3, 8, 36) 152."""
    resnet_width: int = 64
    """Channels of the ResNet's stem; its output has 16 times as many, at 1/16 of the resolution."""
    freeze_resnet: bool = False
    """Batch norm of the ResNet keeps its statistics and its scale and shift. Convolutions still train, as in the
    original."""
    sync_batch_norm: bool = False
    """Batch norm statistics over all processes (GPU only), with the original's epsilon of 1e-3 for this case. Excludes
    `freeze_resnet`."""

    scale_attn: bool = True
    """Layer norm on the output of every attention."""
    scale_fc: bool = True
    """Layer norm inside the feed-forward block, before its second matrix."""
    scale_heads: bool = True
    """A learned factor for each attention head's output."""
    scale_resids: bool = False
    """A learned factor for each channel of the feed-forward block's residual."""
    attn_scale_factor: float = 2.0
    """Queries are scaled by (head size * this factor) ** -0.5; 2, because content and position scores are added."""

    entangle_position_embedding: bool = False
    """The encoder also adds absolute positions to its inputs, beside using them in the attention bias."""
    disable_entangle: bool = True
    """False: the decoder also adds absolute positions to its inputs."""
    interpolate_position: bool = False
    """Images with more patches than `orig_patch_image_size` has get its positions, stretched, instead of positions of
    their own."""
    orig_patch_image_size: int = 256
    """Image side, in pixels, whose positions are stretched by `interpolate_position`."""
    token_bucket_size: int = 256
    """Relative text positions: exact up to half of it, logarithmic beyond; the table has 2 * size - 1 rows."""
    image_bucket_size: int = 42
    """Largest image side in patches of 16 pixels (42 patches are 672 pixels)."""
    code_image_size: int = 128
    """Side in pixels of the image that a sequence of codes stands for; one code covers 8 x 8 pixels."""
    max_source_positions: int = 1024
    """Longest source text in tokens."""
    max_target_positions: int = 1024
    """Longest target text in tokens."""

    init_std: float = 0.02
    """Standard deviation of random matrices. The original's 0.02 suits wide networks; narrow ones start to attend
    sooner with about d_model ** -0.5."""
    dropout: float = 0.1
    """Dropout on embeddings and on the output of every block."""
    attention_dropout: float = 0.0
    """Dropout on attention probabilities."""
    activation_dropout: float = 0.0
    """Dropout after the activation in feed-forward blocks."""
    encoder_drop_path: float = 0.1
    """Chance that the last encoder layer's branches are skipped for a sample; grows linearly from 0 at the first."""
    decoder_drop_path: float = 0.1
    """The same for the decoder."""
    resnet_drop_path: float = 0.0
    """The same inside each ResNet stage."""

    freeze_embeddings: bool = False
    """The token matrix does not train."""
    encoder_prompt_length: int = 0
    """Learned key-value pairs before every encoder self-attention (prompt tuning, arXiv 2208.02532); 0 is off. With
    prompts, adapters or `bitfit` only these train."""
    decoder_prompt_length: int = 0
    """The same for the decoder."""
    encoder_prompt_projection: int = 0
    """Hidden width of a network that makes the encoder's prompts from embeddings; 0 learns them directly."""
    decoder_prompt_projection: int = 0
    """The same for the decoder."""
    adapter_dim: int = 0
    """Width of the adapters after each feed-forward block (arXiv 1902.00751); 0 is off."""
    bitfit: bool = False
    """Only biases train (arXiv 2106.10199)."""

    def __post_init__(self) -> None:
        for name in ("output_ids", "resnet_blocks"):
            value = getattr(self, name)
            if isinstance(value, list):
                object.__setattr__(self, name, tuple(value))
        for name in (
            "vocabulary_size", "d_model", "ffn_dim", "encoder_heads", "decoder_heads", "encoder_layers",
            "decoder_layers", "resnet_width", "image_bucket_size", "orig_patch_image_size", "max_source_positions",
            "max_target_positions",
        ):  # fmt: skip
            self._check(name, getattr(self, name) >= 1, "must be at least 1")
        for name in ("encoder_heads", "decoder_heads"):
            divides = self.d_model % getattr(self, name) == 0
            self._check(name, divides, f"must divide d_model = {self.d_model}")
        for name in (
            "dropout", "attention_dropout", "activation_dropout", "encoder_drop_path", "decoder_drop_path",
            "resnet_drop_path",
        ):  # fmt: skip
            self._check(name, 0.0 <= getattr(self, name) < 1.0, "must lie in [0, 1)")
        for name in (
            "encoder_prompt_length", "decoder_prompt_length", "encoder_prompt_projection", "decoder_prompt_projection",
            "adapter_dim",
        ):  # fmt: skip
            self._check(name, getattr(self, name) >= 0, "must not be negative")
        excluded = self.freeze_resnet and self.sync_batch_norm
        self._check("sync_batch_norm", not excluded, "has no effect on a frozen ResNet, leave out one of the two")
        blocks_are_valid = len(self.resnet_blocks) == 3 and min(self.resnet_blocks) >= 1
        self._check("resnet_blocks", blocks_are_valid, "must be three counts of at least 1")
        self._check("init_std", self.init_std > 0, "must be positive")
        self._check("attn_scale_factor", self.attn_scale_factor > 0, "must be positive")
        buckets_are_valid = self.token_bucket_size >= 4 and self.token_bucket_size % 2 == 0
        self._check("token_bucket_size", buckets_are_valid, "must be even and at least 4")
        window_fits = 1 <= self.code_window <= self.image_bucket_size and self.code_image_size % 8 == 0
        self._check("code_image_size", window_fits, f"must be a multiple of 8 up to {8 * self.image_bucket_size}")
        if self.output_ids is not None:
            ids = self.output_ids
            ascend = all(low < high for low, high in zip(ids, ids[1:], strict=False))
            fits = len(ids) > 0 and ids[0] >= 0 and ids[-1] < self.vocabulary_size
            self._check("output_ids", ascend and fits, f"must ascend within 0..{self.vocabulary_size - 1}")

    def _check(self, name: str, holds: bool, rule: str) -> None:
        if not holds:
            raise OFAError(f"configuration of the network: {name} = {getattr(self, name)!r}: {rule}")

    @property
    def code_window(self) -> int:
        """Side, in codes, of the image that a sequence of codes stands for."""
        return self.code_image_size // 8

    @classmethod
    def preset(cls, name: str, **overrides: Any) -> "OFAConfig":
        """The configuration of a size: nano, tiny, medium, base, large or huge, with some fields changed."""
        if name not in PRESETS:
            raise OFAError(f"no network size '{name}'{nearest(name, list(PRESETS))}; there are {', '.join(PRESETS)}")
        return cls.from_dict(PRESETS[name] | overrides)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "OFAConfig":
        """The inverse of `to_dict`. A key that is not a field is an error that names the nearest field."""
        return from_fields(cls, values, "the network")

    def to_dict(self) -> dict[str, Any]:
        """All fields as plain values that JSON and YAML can hold."""
        values = dataclasses.asdict(self)
        return {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}
