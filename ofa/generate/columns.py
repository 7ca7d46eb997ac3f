"""Between vocabulary ids and the columns of the logits."""

from dataclasses import dataclass

import torch
from torch import LongTensor, Tensor

BOS, PAD, EOS, UNK = range(4)


@dataclass(frozen=True)
class Columns:
    """Which vocabulary id each of the K columns of the logits scores.

    A network may score only the rows of its vocabulary that its tables use; everything in a search that is as wide as
    the vocabulary is then only K wide.
    """

    size: int
    """K."""
    ids: LongTensor | None = None
    """(K,) id of each column; None when column i is id i."""
    columns: LongTensor | None = None
    """(V,) column of each id, -1 for ids that are not scored; None when column i is id i."""

    @classmethod
    def of(cls, output_ids: LongTensor | None, vocabulary_size: int) -> "Columns":
        """The columns of a network with `output_ids` (K,), or with all of its `vocabulary_size` ids scored."""
        if output_ids is None:
            return cls(vocabulary_size)
        columns = torch.full((vocabulary_size,), -1, dtype=torch.long, device=output_ids.device)
        columns[output_ids] = torch.arange(len(output_ids), device=output_ids.device)
        return cls(len(output_ids), output_ids, columns)

    def id_of(self, columns: Tensor) -> Tensor:
        """Ids of columns, any shape."""
        return columns if self.ids is None else self.ids[columns]

    def column_of(self, ids: Tensor) -> Tensor:
        """Columns of ids, any shape; -1 for ids that are not scored."""
        return ids if self.columns is None else self.columns[ids]

    def pick(self, values: Tensor, ids: Tensor) -> Tensor:
        """Of values (..., K) those at ids (...); 0 for ids that are not scored."""
        column = self.column_of(ids)
        found = values.gather(-1, column.clamp(min=0).unsqueeze(-1)).squeeze(-1)
        return found.masked_fill(column < 0, 0.0)
