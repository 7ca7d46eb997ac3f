"""The VQ-GAN between pictures and image codes: each square of 8 x 8 pixels is one of 8192 codes.

Layout and names of the parameters are those of taming-transformers (arXiv 2012.09841), whose Gumbel variant the
original paints with. What trained it there (discriminator, perceptual loss) is no part of it.

Shapes: B pictures, H x W pixels, h x w codes, C channels, K codes.
"""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import FloatTensor, LongTensor, nn

from ofa.errors import OFAError, nearest
from ofa.settings import from_fields

MAX_CODES = 8192
"""Image codes in the vocabulary of OFA."""

PRESETS: dict[str, dict[str, Any]] = {
    "nano": dict(
        channels=16, multipliers=(1, 2, 2, 4), blocks=1, attention=(), resolution=64, norm_groups=1, code_dim=64,
        codes=512,
    ),
    "f8_8192": dict(),
}  # fmt: skip
"""f8_8192 is the original's (taming-transformers' vqgan_gumbel_f8); nano trains on the built-in pictures on a CPU."""


@dataclass(frozen=True, kw_only=True)
class VQGANConfig:
    """The shape of a VQ-GAN. The defaults are those of the original's."""

    channels: int = 128
    """Channels at full resolution; a multiple of `norm_groups`."""
    multipliers: tuple[int, ...] = (1, 1, 2, 4)
    """Channels of each level as multiples of `channels`. Each level but the last halves the picture: four levels make
    a code of 8 x 8 pixels."""
    blocks: int = 2
    """Residual blocks of a level of the encoder; the decoder has one more."""
    attention: tuple[int, ...] = (32,)
    """Sides (of levels, for pictures of `resolution`) at which each block is followed by attention."""
    resolution: int = 256
    """Side in pixels of the pictures that `attention` is meant for. Others work as well."""
    code_dim: int = 256
    """Width of a code's vector, and channels of what the encoder gives and the decoder takes."""
    codes: int = MAX_CODES
    """Number of codes K, at most 8192."""
    norm_groups: int = 32
    """Groups of the group norms."""

    def __post_init__(self):
        for name in ("multipliers", "attention"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        for name in ("channels", "blocks", "resolution", "code_dim", "norm_groups"):
            if getattr(self, name) < 1:
                raise OFAError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not 2 <= self.codes <= MAX_CODES:
            raise OFAError(f"codes must be 2 to {MAX_CODES}, got {self.codes}")
        if not self.multipliers or min(self.multipliers) < 1:
            raise OFAError(f"multipliers must be whole numbers of at least 1, got {self.multipliers}")
        if self.channels % self.norm_groups:
            raise OFAError(f"channels must be a multiple of norm_groups {self.norm_groups}, got {self.channels}")
        if self.resolution % self.stride:
            raise OFAError(f"resolution must be a multiple of {self.stride}, got {self.resolution}")

    @property
    def stride(self) -> int:
        """Side in pixels of the square that a code stands for."""
        return 2 ** (len(self.multipliers) - 1)

    @property
    def widths(self) -> list[int]:
        """Channels of each level, from full resolution to that of the codes."""
        return [self.channels * multiplier for multiplier in self.multipliers]

    def attends(self, level: int) -> bool:
        """Whether the blocks of a level are followed by attention."""
        return self.resolution // 2**level in self.attention

    @classmethod
    def preset(cls, name: str, **overrides: Any) -> "VQGANConfig":
        """The configuration of a size: nano or f8_8192, with some fields changed."""
        if name not in PRESETS:
            raise OFAError(f"no VQ-GAN size '{name}'{nearest(name, list(PRESETS))}; there are {', '.join(PRESETS)}")
        return cls.from_dict(PRESETS[name] | overrides)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "VQGANConfig":
        """The inverse of `to_dict`. A key that is not a field is an error that names the nearest field."""
        return from_fields(cls, values, "the VQ-GAN")

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return dataclasses.asdict(self)


class VQGAN(nn.Module):
    """Pictures to codes and back."""

    def __init__(self, config: VQGANConfig):
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        self.quantize = GumbelQuantize(config)
        self.quant_conv = nn.Conv2d(config.code_dim, config.code_dim, 1)
        self.post_quant_conv = nn.Conv2d(config.code_dim, config.code_dim, 1)

    def latents(self, pixels: FloatTensor) -> FloatTensor:
        """(B, code_dim, h, w) what codes are chosen by, from (B, 3, H, W) pixels in -1..1.

        Raises:
            OFAError: a side is no multiple of the stride.
        """
        stride = self.config.stride
        if pixels.shape[2] % stride or pixels.shape[3] % stride:
            raise OFAError(f"sides of a picture must be multiples of {stride}, got {tuple(pixels.shape[2:])}")
        return self.quant_conv(self.encoder(pixels))

    def logits(self, pixels: FloatTensor) -> FloatTensor:
        """(B, K, h, w) scores of the codes; see `latents`."""
        return self.quantize.proj(self.latents(pixels))

    def encode(self, pixels: FloatTensor) -> LongTensor:
        """(B, h, w) the most probable code of each square of (B, 3, H, W) pixels in -1..1.

        The original draws codes instead, so that its codes of a picture differ from run to run.
        """
        return self.logits(pixels).argmax(1)

    def decode(self, codes: LongTensor) -> FloatTensor:
        """(B, 3, H, W) pixels, about -1..1, from (B, h, w) codes."""
        return self.reconstruct(self.quantize.embed(codes).permute(0, 3, 1, 2))

    def reconstruct(self, vectors: FloatTensor) -> FloatTensor:
        """(B, 3, H, W) pixels, about -1..1, from (B, code_dim, h, w) vectors of codes."""
        return self.decoder(self.post_quant_conv(vectors))


class GumbelQuantize(nn.Module):
    """Scores codes, and holds their vectors."""

    def __init__(self, config: VQGANConfig):
        super().__init__()
        self.proj = nn.Conv2d(config.code_dim, config.codes, 1)
        self.embed = nn.Embedding(config.codes, config.code_dim)

    def draw(self, logits: FloatTensor, temperature: float) -> FloatTensor:
        """(B, code_dim, h, w) vectors of codes drawn by the Gumbel trick (arXiv 1611.01144) from (B, K, h, w) logits.

        One code a place in the forward pass, the relaxed choice at `temperature` in the backward pass.
        """
        chosen = F.gumbel_softmax(logits, tau=temperature, hard=True, dim=1)
        return torch.einsum("bkhw,kd->bdhw", chosen, self.embed.weight)


class Encoder(nn.Module):
    """(B, 3, H, W) to (B, code_dim, h, w)."""

    def __init__(self, config: VQGANConfig):
        super().__init__()
        self.conv_in = nn.Conv2d(3, config.channels, 3, padding=1)
        self.down = nn.ModuleList()
        width = config.channels
        for level, out in enumerate(config.widths):
            stage = Level(config, level, width, out, config.blocks)
            if level < len(config.widths) - 1:
                stage.downsample = Downsample(out)
            self.down.append(stage)
            width = out
        self.mid = Middle(config, width)
        self.norm_out = _norm(config, width)
        self.conv_out = nn.Conv2d(width, config.code_dim, 3, padding=1)

    def forward(self, x: FloatTensor) -> FloatTensor:
        x = self.conv_in(x)
        for stage in self.down:
            x = stage(x)
            if hasattr(stage, "downsample"):
                x = stage.downsample(x)
        return self.conv_out(F.silu(self.norm_out(self.mid(x))))


class Decoder(nn.Module):
    """(B, code_dim, h, w) to (B, 3, H, W). Levels are numbered as the encoder's and run from the last to 0."""

    def __init__(self, config: VQGANConfig):
        super().__init__()
        width = config.widths[-1]
        self.conv_in = nn.Conv2d(config.code_dim, width, 3, padding=1)
        self.mid = Middle(config, width)
        stages = []
        for level, out in reversed(list(enumerate(config.widths))):
            stage = Level(config, level, width, out, config.blocks + 1)
            if level > 0:
                stage.upsample = Upsample(out)
            stages.insert(0, stage)
            width = out
        self.up = nn.ModuleList(stages)
        self.norm_out = _norm(config, width)
        self.conv_out = nn.Conv2d(width, 3, 3, padding=1)

    def forward(self, x: FloatTensor) -> FloatTensor:
        x = self.mid(self.conv_in(x))
        for stage in reversed(self.up):
            x = stage(x)
            if hasattr(stage, "upsample"):
                x = stage.upsample(x)
        return self.conv_out(F.silu(self.norm_out(x)))


class Level(nn.Module):
    """The blocks of one resolution, each followed by attention where the configuration says so."""

    def __init__(self, config: VQGANConfig, level: int, width: int, out: int, blocks: int):
        super().__init__()
        self.block = nn.ModuleList(ResnetBlock(config, out if i else width, out) for i in range(blocks))
        self.attn = nn.ModuleList(Attention(config, out) for _ in range(blocks if config.attends(level) else 0))

    def forward(self, x: FloatTensor) -> FloatTensor:
        for number, block in enumerate(self.block):
            x = block(x)
            if len(self.attn):
                x = self.attn[number](x)
        return x


class Middle(nn.Module):
    """What lies between the two halves of encoder and decoder, at the resolution of the codes."""

    def __init__(self, config: VQGANConfig, width: int):
        super().__init__()
        self.block_1 = ResnetBlock(config, width, width)
        self.attn_1 = Attention(config, width)
        self.block_2 = ResnetBlock(config, width, width)

    def forward(self, x: FloatTensor) -> FloatTensor:
        return self.block_2(self.attn_1(self.block_1(x)))


class ResnetBlock(nn.Module):
    """Norm, SiLU and convolution, twice, beside a shortcut."""

    def __init__(self, config: VQGANConfig, width: int, out: int):
        super().__init__()
        self.norm1 = _norm(config, width)
        self.conv1 = nn.Conv2d(width, out, 3, padding=1)
        self.norm2 = _norm(config, out)
        self.conv2 = nn.Conv2d(out, out, 3, padding=1)
        if width != out:
            self.nin_shortcut = nn.Conv2d(width, out, 1)

    def forward(self, x: FloatTensor) -> FloatTensor:
        inner = self.conv2(F.silu(self.norm2(self.conv1(F.silu(self.norm1(x))))))
        return inner + (self.nin_shortcut(x) if hasattr(self, "nin_shortcut") else x)


class Attention(nn.Module):
    """Every place looks at every other, with one head."""

    def __init__(self, config: VQGANConfig, width: int):
        super().__init__()
        self.norm = _norm(config, width)
        self.q, self.k, self.v, self.proj_out = (nn.Conv2d(width, width, 1) for _ in range(4))

    def forward(self, x: FloatTensor) -> FloatTensor:
        normed = self.norm(x)
        q, k, v = (conv(normed).flatten(2).transpose(1, 2) for conv in (self.q, self.k, self.v))
        seen = F.scaled_dot_product_attention(q, k, v, scale=1 / math.sqrt(q.shape[2]))
        return x + self.proj_out(seen.transpose(1, 2).unflatten(2, x.shape[2:]))


class Downsample(nn.Module):
    """Half the side: a convolution of stride 2 whose missing row and column lie at the right and the bottom."""

    def __init__(self, width: int):
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, stride=2)

    def forward(self, x: FloatTensor) -> FloatTensor:
        return self.conv(F.pad(x, (0, 1, 0, 1)))


class Upsample(nn.Module):
    """Twice the side: every pixel doubled, then a convolution."""

    def __init__(self, width: int):
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: FloatTensor) -> FloatTensor:
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))


def _norm(config: VQGANConfig, width: int) -> nn.GroupNorm:
    return nn.GroupNorm(config.norm_groups, width, eps=1e-6)
