"""Positions as biases on attention scores, apart from content (arXiv 2202.03052, section 3.1).

Absolute ones, untied from content as in TUPE (arXiv 2006.15595), are shared by all layers of a stack. Relative ones, of
text as in T5 (arXiv 1910.10683) and of images by rows and columns as in CoAtNet (arXiv 2106.04803), come from a table
of each layer. Bucket numbers are computed from coordinates whenever they are needed; no tables of numbers are kept.
"""

import math

import torch
from torch import Tensor, nn

LONGEST_DISTANCE = 1023
"""The text distance that falls into the last bucket, whatever the longest text of a configuration is."""


def token_buckets(queries: Tensor, keys: Tensor, bucket_size: int) -> Tensor:
    """Buckets of relative text positions.

    Distances up to half the bucket size have buckets of their own, longer ones share logarithmic buckets.

    Args:
        queries, keys: positions (Q,), (K,) as integers.

    Returns:
        (Q, K) numbers in 0 .. 2 * bucket_size - 2.
    """
    middle = bucket_size // 2
    distance = queries[:, None] - keys[None, :]
    far = distance.abs().clamp(min=middle, max=LONGEST_DISTANCE).double()
    # The small margin keeps the longest distance, where the logarithms cancel, inside its bucket on every device.
    steps = torch.ceil((far / middle).log() * ((middle - 1) / math.log(LONGEST_DISTANCE / middle)) - 1e-6)
    bucket = torch.where(distance.abs() <= middle, distance, (steps.long() + middle) * distance.sign())
    return bucket + bucket_size - 1


def image_buckets(queries: Tensor, keys: Tensor, bucket_size: int) -> Tensor:
    """Buckets of relative image positions.

    Args:
        queries, keys: image position ids (..., Q), (..., K): 1 + row * bucket_size + column, or 0 for the start of a
            sequence of codes.

    Returns:
        (..., Q, K) numbers: one for each pair of row and column distance, and three for pairs with the start.
    """
    span = 2 * bucket_size - 1
    query_row, query_column = place(queries, bucket_size)
    key_row, key_column = place(keys, bucket_size)
    rows = query_row[..., :, None] - key_row[..., None, :] + bucket_size - 1
    columns = query_column[..., :, None] - key_column[..., None, :] + bucket_size - 1
    from_start, to_start = (queries == 0)[..., :, None], (keys == 0)[..., None, :]
    bucket = rows * span + columns
    bucket = torch.where(from_start, span * span, bucket)
    return torch.where(to_start, torch.where(from_start, span * span + 2, span * span + 1), bucket)


def place(ids: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """Row and column of ids that count the places of a grid from 1, row by row; same shape.

    Without the remainder, whose bounds `torch.compile` loses on a CPU.
    """
    row = (ids - 1) // width
    return row, ids - 1 - row * width


def number_of_token_buckets(bucket_size: int) -> int:
    """Rows of a table of relative text positions."""
    return 2 * bucket_size - 1


def number_of_image_buckets(bucket_size: int) -> int:
    """Rows of a table of relative image positions."""
    return (2 * bucket_size - 1) ** 2 + 3


def grid_ids(height: int, width: int, bucket_size: int, device: torch.device) -> Tensor:
    """Image position ids (height * width,) of a grid of patches or codes, row by row."""
    rows = torch.arange(height, device=device)[:, None]
    columns = torch.arange(width, device=device)[None, :]
    return (rows * bucket_size + columns + 1).flatten()


def code_ids(steps: Tensor, window: int, bucket_size: int) -> Tensor:
    """Image position ids of steps of a sequence of codes, same shape: the start, a window x window grid, a filler."""
    row, column = place(steps, window)
    ids = torch.where(steps > window * window, min(1024, bucket_size**2), row * bucket_size + column + 1)
    return torch.where(steps == 0, 0, ids)


def relative_bias(table: Tensor, buckets: Tensor) -> Tensor:
    """Rows of a table (R, H) by buckets (..., Q, K) -> biases (..., H, Q, K).

    Heads are looked up one by one, which is several times faster than rows that are transposed afterwards.
    """
    biases = table.t().contiguous().index_select(1, buckets.flatten())
    return biases.unflatten(1, buckets.shape).movedim(0, -3)


def by_row(code_mask: Tensor | None, values: list[Tensor]) -> Tensor:
    """For each row the value for text or the value for image codes.

    Args:
        code_mask: (B,) bool, True for rows of codes; None when there is one value for all rows.
        values: that one value, or the one for text and the one for codes, each (B or 1, ...).

    Returns:
        (B, ...), or the one value as it is.
    """
    if code_mask is None:
        return values[0]
    text, codes = values
    return torch.where(code_mask.view(-1, *[1] * (text.dim() - 1)), codes, text)


class PositionScores(nn.Module):
    """Absolute position bias: (U p_i) . (W p_j) * (head size * scale_factor) ** -0.5 of position embeddings p."""

    def __init__(self, d_model: int, heads: int, scale_factor: float) -> None:
        super().__init__()
        self.heads = heads
        self.scale = (d_model / heads * scale_factor) ** -0.5
        self.query = nn.Linear(d_model, d_model)
        self.key = nn.Linear(d_model, d_model)

    def queries(self, positions: Tensor) -> Tensor:
        """(B, Q, D) -> (B, H, Q, D / H), scaled."""
        return (self.query(positions) * self.scale).unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def keys(self, positions: Tensor) -> Tensor:
        """(B, K, D) -> (B, H, D / H, K)."""
        return self.key(positions).unflatten(-1, (self.heads, -1)).permute(0, 2, 3, 1)

    def forward(self, queries: Tensor, keys: Tensor) -> Tensor:
        """Position embeddings (B or 1, Q, D) and (B or 1, K, D) -> bias (B or 1, H, Q, K)."""
        return self.queries(queries) @ self.keys(keys)
