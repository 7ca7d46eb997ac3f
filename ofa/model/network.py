"""The whole network: token matrix, encoder, decoder and output layer."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ofa.model import incremental
from ofa.model.config import OFAConfig
from ofa.model.decoder import Decoder
from ofa.model.encoder import Encoded, Encoder
from ofa.model.incremental import Cache
from ofa.model.tuning import freeze

PAD = 1
"""The id that fills up shorter rows of a batch."""


class OFAModel(nn.Module):
    """OFA (arXiv 2202.03052, section 3.1): images and text in, text, coordinates or image codes out.

    One matrix (V, D) embeds source and target tokens and scores the output. Sequences are padded on the right with
    id 1.
    """

    def __init__(self, config: OFAConfig) -> None:
        super().__init__()
        self.config = config
        self.embed_tokens = nn.Embedding(config.vocabulary_size, config.d_model)
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        self.register_buffer("output_ids", None, persistent=False)
        self.reset_parameters()
        freeze(self)

    def reset_parameters(self) -> None:
        """Initialize as the original: matrices N(0, `init_std`), convolutions Kaiming (fan out), norms 1 and 0."""
        if self.config.output_ids is not None:
            device = self.embed_tokens.weight.device
            self.output_ids = torch.tensor(self.config.output_ids, device="cpu" if device.type == "meta" else device)
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, std=self.config.init_std)
                if isinstance(module, nn.Linear):
                    nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif hasattr(module, "reset_parameters") and module is not self:
                module.reset_parameters()

    def forward(
        self,
        source_tokens: Tensor,
        previous_tokens: Tensor,
        images: Tensor | None = None,
        image_mask: Tensor | None = None,
        code_mask: Tensor | None = None,
        patch_sample: Tensor | int | None = None,
        image_index: Tensor | None = None,
        features_only: bool = False,
    ) -> Tensor:
        """Teacher forcing: `encode`, then `decode`; see there for the arguments and errors.

        Returns:
            logits (B, T, V), or features (B, T, D) with `features_only`.
        """
        encoded = self.encode(source_tokens, images, image_mask, patch_sample, image_index)
        return self.decode(previous_tokens, encoded, code_mask, features_only)

    def encode(
        self,
        source_tokens: Tensor,
        images: Tensor | None = None,
        image_mask: Tensor | None = None,
        patch_sample: Tensor | int | None = None,
        image_index: Tensor | None = None,
    ) -> Encoded:
        """Encode source texts with their images.

        Args:
            source_tokens: ids (B, T), padded on the right.
            images: normalized pixels (B, 3, H, W), or (U, 3, H, W) with `image_index`; None without images.
            image_mask: (B,) bool, False for samples without an image; None where all have one.
            patch_sample: encode only some patches: their numbers (B, P) in the order wanted, or how many to draw at
                random for each sample.
            image_index: (B,) the image of each sample, where samples share images.

        Returns:
            states, padding and positions of the sequence image patches, then text.

        Raises:
            OFAError: a text is too long, or an image has more than `image_bucket_size` patches a side.
        """
        padding = source_tokens == PAD
        return Encoded(
            *self.encoder(self.embed_tokens(source_tokens), padding, images, image_mask, patch_sample, image_index)
        )

    def decode(
        self, previous_tokens: Tensor, encoded: Encoded, code_mask: Tensor | None = None, features_only: bool = False
    ) -> Tensor:
        """Score the next token after each target token.

        Args:
            previous_tokens: ids (B, T), starting with id 0, padded on the right.
            encoded: what `encode` returned for the same samples.
            code_mask: (B,) bool, True for rows whose target is image codes; None where all are text.
            features_only: leave out the output layer.

        Returns:
            logits (B, T, V), -inf for ids that `output_ids` leaves out; or features (B, T, D).

        Raises:
            OFAError: a target is too long.
        """
        features = self.decoder(self.embed_tokens(previous_tokens), encoded, code_mask)
        if features_only:
            return features
        logits = self.project(features)
        if self.output_ids is None:
            return logits
        scores = logits.new_full((*logits.shape[:-1], self.config.vocabulary_size), float("-inf"))
        return scores.index_copy(-1, self.output_ids, logits)

    def start(
        self,
        encoded: Encoded,
        beams: int = 1,
        max_length: int | None = None,
        code_mask: Tensor | None = None,
    ) -> Cache:
        """Prepare to decode step by step.

        Args:
            encoded: what `encode` returned for B sentences.
            beams: rows for each sentence; N = B * beams rows, those of a sentence beside each other.
            max_length: most tokens that `step` will be given for a row; the longest target if None.
            code_mask: (B,) bool, True for sentences whose target is image codes; None where all are text.

        Returns:
            the state that `step` moves on, with `reorder` and `keep` for searches.

        Raises:
            OFAError: `max_length` is more than the network can write.
        """
        return incremental.start(self.decoder, encoded, beams, max_length, code_mask)

    def step(self, tokens: Tensor, cache: Cache) -> Tensor:
        """Take the next token, or the next few, of every row.

        Args:
            tokens: ids (N,), or (N, P) for a prompt of P tokens.
            cache: what `start` returned; it is changed.

        Returns:
            features (N, D), or (N, P, D), for `project`: the same as `decode` gives for the whole row.

        Raises:
            OFAError: a row gets more tokens than decoding was started for.
        """
        many = tokens.view(len(tokens), -1)
        incremental.check_room(cache, many.shape[1])
        features = incremental.step(self.decoder, self.embed_tokens(many), cache)
        cache.length += many.shape[1]
        return features.view(*tokens.shape, -1)

    def project(self, features: Tensor) -> Tensor:
        """Features (..., D) -> logits (..., K), one for each of `output_ids`, or for each id of the vocabulary."""
        weight = self.embed_tokens.weight
        if self.output_ids is not None:
            weight = F.embedding(self.output_ids, weight)
        return F.linear(features, weight)

    def columns(self, ids: Tensor) -> Tensor:
        """The column of `project`'s result that scores each id, -1 for ids that are not scored; same shape."""
        if self.output_ids is None:
            return ids
        column = torch.searchsorted(self.output_ids, ids).clamp(max=len(self.output_ids) - 1)
        return torch.where(self.output_ids[column] == ids, column, -1)
