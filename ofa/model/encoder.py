"""The encoder: image patches and source text in one sequence (arXiv 2202.03052, section 3.1)."""

from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ofa.errors import OFAError
from ofa.model.config import OFAConfig
from ofa.model.layers import EncoderLayer
from ofa.model.positions import (
    PositionScores,
    grid_ids,
    image_buckets,
    number_of_image_buckets,
    number_of_token_buckets,
    relative_bias,
    token_buckets,
)
from ofa.model.resnet import FrozenBatchNorm2d, ResNet
from ofa.model.tuning import Prompt, pad_for_prompt

TEXT_TYPE, IMAGE_TYPE = 0, 1


@dataclass(frozen=True)
class Encoded:
    """What the decoder needs to know of the encoder's output. The sequence is image patches, then text."""

    states: Tensor
    """(B, S, D), normalized."""
    padding: Tensor
    """(B, S) bool, True where there is nothing: padded text, patches of a sample without an image."""
    shared_positions: Tensor
    """(B, S, D) normalized position embeddings, or (1, S, D) where all samples have the same."""

    @property
    def positions(self) -> Tensor:
        """(B, S, D) normalized position embeddings."""
        return self.shared_positions.expand(self.states.shape[0], -1, -1)

    def select(self, index: Tensor) -> "Encoded":
        """Rows by number: a LongTensor (N,) that may repeat, drop and reorder samples."""
        shared = self.shared_positions
        positions = shared if shared.shape[0] == 1 else shared.index_select(0, index)
        return Encoded(self.states.index_select(0, index), self.padding.index_select(0, index), positions)


@dataclass(frozen=True)
class Inputs:
    """Embedded patches and text, in one sequence of length S, and where they stand."""

    embedded: Tensor
    """(B, S, D), 0 where there is nothing."""
    padding: Tensor
    """(B, S) bool, True where there is nothing."""
    positions: Tensor
    """(B or 1, S, D) normalized position embeddings."""
    buckets: Tensor
    """(B or 1, S, S) see `Encoder.buckets`."""


class Encoder(nn.Module):
    """ResNet patches and embedded text through pre-norm transformer layers."""

    def __init__(self, config: OFAConfig) -> None:
        super().__init__()
        self.config = config
        d_model, layers, heads = config.d_model, config.encoder_layers, config.encoder_heads
        if config.freeze_resnet:
            norm = FrozenBatchNorm2d
        else:
            norm = partial(nn.SyncBatchNorm, eps=1e-3) if config.sync_batch_norm else nn.BatchNorm2d
        self.resnet = ResNet(config.resnet_blocks, config.resnet_width, norm, config.resnet_drop_path)
        self.image_projection = nn.Linear(16 * config.resnet_width, d_model)
        self.types = nn.Embedding(2, d_model)
        self.token_norm = nn.LayerNorm(d_model)
        self.patch_norm = nn.LayerNorm(d_model)
        self.token_positions = nn.Embedding(config.max_source_positions + 2, d_model)
        self.image_positions = nn.Embedding(config.image_bucket_size**2 + 1, d_model)
        self.token_position_norm = nn.LayerNorm(d_model)
        self.image_position_norm = nn.LayerNorm(d_model)
        self.position_scores = PositionScores(d_model, heads, config.attn_scale_factor)
        rows = number_of_token_buckets(config.token_bucket_size)
        self.token_bias = nn.ModuleList(nn.Embedding(rows, heads) for _ in range(layers))
        rows = number_of_image_buckets(config.image_bucket_size)
        self.image_bias = nn.ModuleList(nn.Embedding(rows, heads) for _ in range(layers))
        self.prompt = None
        if config.encoder_prompt_length:
            self.prompt = Prompt(config.encoder_prompt_length, layers, heads, d_model, config.encoder_prompt_projection)
        rates = torch.linspace(0, config.encoder_drop_path, layers, device="cpu").tolist()
        self.layers = nn.ModuleList(EncoderLayer(config, rate) for rate in rates)
        self.norm = nn.LayerNorm(d_model)

    def forward(
        self,
        tokens: Tensor,
        token_padding: Tensor,
        images: Tensor | None = None,
        image_mask: Tensor | None = None,
        patch_sample: Tensor | int | None = None,
        image_index: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Encode a batch: `embed`, then `transform`; see there for the arguments.

        Returns:
            states (B, S, D), padding (B, S), position embeddings (B or 1, S, D); S is the number of patches plus T.
        """
        inputs = self.embed(tokens, token_padding, images, image_mask, patch_sample, image_index)
        return self.transform(inputs), inputs.padding, inputs.positions

    def embed(
        self,
        tokens: Tensor,
        token_padding: Tensor,
        images: Tensor | None = None,
        image_mask: Tensor | None = None,
        patch_sample: Tensor | int | None = None,
        image_index: Tensor | None = None,
    ) -> Inputs:
        """What the transformer layers read.

        Args:
            tokens: embedded source text (B, T, D).
            token_padding: (B, T) bool, True where the text is padded.
            images, image_mask, patch_sample, image_index: see `OFAModel.encode`.
        """
        length = tokens.shape[1]
        if length > self.config.max_source_positions:
            raise OFAError(
                f"the source text has {length} tokens, the network reads at most {self.config.max_source_positions}: "
                "shorten the text"
            )
        text_ids = torch.arange(length, device=tokens.device)
        positions = self.token_positions(text_ids)[None]
        x = tokens + positions if self.config.entangle_position_embedding else tokens
        x = self.token_norm(x + self.types.weight[TEXT_TYPE])
        positions = self.token_position_norm(positions)
        padding = token_padding
        image_ids = text_ids.new_zeros(1, 0)
        if images is not None:
            patches, image_ids, image_positions = self.embed_images(images, len(tokens), patch_sample, image_index)
            x = torch.cat([patches, x], dim=1)
            image_positions = self.image_position_norm(image_positions)
            positions = torch.cat([image_positions, positions.expand(len(image_positions), -1, -1)], dim=1)
            absent = torch.zeros_like(padding[:, :1]) if image_mask is None else ~image_mask[:, None]
            padding = torch.cat([absent.expand(-1, patches.shape[1]), padding], dim=1)
        x = F.dropout(x, self.config.dropout, self.training).masked_fill(padding[..., None], 0.0)
        return Inputs(x, padding, positions, self.buckets(image_ids, text_ids))

    def transform(self, inputs: Inputs) -> Tensor:
        """Normalized states (B, S, D)."""
        x, padding = inputs.embedded, inputs.padding
        absolute = self.position_scores(inputs.positions, inputs.positions)
        unseen = torch.zeros_like(padding, dtype=absolute.dtype).masked_fill(padding, float("-inf"))[:, None, None]
        prompts = [None] * len(self.layers) if self.prompt is None else self.prompt(len(x))
        for layer, tokens_table, image_table, prompt in zip(
            self.layers, self.token_bias, self.image_bias, prompts, strict=True
        ):
            bias = absolute + self.relative_bias(tokens_table.weight, image_table.weight, inputs.buckets)
            bias = pad_for_prompt(bias.to(unseen.dtype) + unseen, self.config.encoder_prompt_length)
            x = layer(x, bias, prompt)
        return self.norm(x)

    def embed_images(
        self, images: Tensor, batch: int, patch_sample: Tensor | int | None, image_index: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Images (U, 3, H, W) -> patches (B, P, D), their position ids (B or 1, P) and position embeddings (.., P, D).

        Position ids and embeddings have one row where they are the same for the whole batch.
        """
        side = self.config.image_bucket_size
        if max(images.shape[2:]) > 16 * side:
            raise OFAError(
                f"an image of {images.shape[3]} x {images.shape[2]} pixels has more than {side} patches a side: "
                f"make images at most {16 * side} pixels wide and high"
            )
        if image_index is None and len(images) != batch:
            raise ValueError(f"{len(images)} images for {batch} texts: give image_index")
        features = self.resnet(images)
        height, width = features.shape[2:]
        patches = self.image_projection(features.flatten(2).transpose(1, 2))
        ids = grid_ids(height, width, side, images.device)[None]
        positions = self.grid_positions(ids, height, width)
        if self.config.entangle_position_embedding:
            patches = patches + positions
        patches = self.patch_norm(patches + self.types.weight[IMAGE_TYPE])
        if image_index is not None:
            patches = patches.index_select(0, image_index)
        if patch_sample is not None:
            order = patch_sample
            if isinstance(order, int):
                if order > height * width:
                    raise OFAError(f"cannot draw {order} of the {height * width} patches of an image")
                order = torch.rand(batch, height * width, device=images.device).argsort(dim=1)[:, :order]
            rows = order[..., None].expand(-1, -1, patches.shape[-1])
            patches = patches.gather(1, rows)
            positions = positions.expand(batch, -1, -1).gather(1, rows)
            ids = ids.expand(batch, -1).gather(1, order)
        return patches, ids, positions

    def grid_positions(self, ids: Tensor, height: int, width: int) -> Tensor:
        """Position embeddings (1, height * width, D) of a grid of patches with position ids (1, height * width)."""
        trained = self.config.orig_patch_image_size // 16
        if not self.config.interpolate_position or height * width <= trained * trained:
            return self.image_positions(ids)
        square = self.image_positions(grid_ids(trained, trained, self.config.image_bucket_size, ids.device))
        square = square.unflatten(0, (trained, trained)).permute(2, 0, 1)[None]
        return F.interpolate(square, size=(height, width), mode="bilinear").flatten(2).transpose(1, 2)

    def buckets(self, image_ids: Tensor, text_ids: Tensor) -> Tensor:
        """Rows (B or 1, S, S) of the relative tables, stacked as token table, image table and one row of zeros."""
        config = self.config
        n_token = number_of_token_buckets(config.token_bucket_size)
        n_image = number_of_image_buckets(config.image_bucket_size)
        patches, length = image_ids.shape[1], text_ids.shape[0]
        text = token_buckets(text_ids, text_ids, config.token_bucket_size)[None]
        if patches == 0:
            return text
        image = image_buckets(image_ids, image_ids, config.image_bucket_size) + n_token
        none = n_token + n_image
        text = F.pad(text.expand(len(image_ids), -1, -1), (patches, 0), value=none)
        return torch.cat([F.pad(image, (0, length), value=none), text], dim=1)

    @staticmethod
    def relative_bias(token_table: Tensor, image_table: Tensor, buckets: Tensor) -> Tensor:
        """A layer's relative bias (B or 1, H, S, S): between texts and between patches, zero from one to the other.

        In float32 also under autocast, so that a table's gradient, a sum over very many pairs, does not lose small
        terms.
        """
        none = token_table.new_zeros(1, token_table.shape[1])
        return relative_bias(torch.cat([token_table, image_table, none]), buckets)
