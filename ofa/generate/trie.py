"""A set of allowed outputs as a prefix tree that lives on the device."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import BoolTensor, LongTensor, Tensor

from ofa.generate.columns import EOS, Columns
from ofa.generate.config import SearchError


class Trie:
    """The prefix tree of a list of outputs, such as answers that a question may have (arXiv 2202.03052, section 3.4).

    Nodes are numbered breadth first from the root, 0. Edges are sorted by (node, id); a candidate's last edge is the
    end token's.

    Args:
        candidates: token ids of each allowed output, without begin and end token.

    Raises:
        SearchError: there is no candidate, or one holds the end token.
    """

    def __init__(self, candidates: Iterable[Sequence[int]]):
        self.candidates = [tuple(int(i) for i in candidate) for candidate in candidates]
        if not self.candidates:
            raise SearchError("a trie needs at least one candidate")
        if any(EOS in candidate for candidate in self.candidates):
            raise SearchError(f"candidates are given without the end token ({EOS}): it is added here")
        root: dict = {}
        for candidate in self.candidates:
            node = root
            for token in (*candidate, EOS):
                node = node.setdefault(token, {})
        level, self._nodes, edges = [root], [root], []
        number = {id(root): 0}
        while level:
            following = []
            for node in level:
                for token, child in sorted(node.items()):
                    if token != EOS:
                        number[id(child)] = len(self._nodes)
                        self._nodes.append(child)
                        following.append(child)
                    edges.append((number[id(node)], token, number.get(id(child), -1)))
            level = following
        self.edge_node, self.edge_id, self.edge_child = torch.tensor(edges).unbind(1)
        """(E,) each: the node that an edge leaves, its id, the node that it leads to (-1: the end)."""

    def __len__(self) -> int:
        """Number of candidates."""
        return len(self.candidates)

    @property
    def nodes(self) -> int:
        """Number of nodes, the root included and ends not."""
        return len(self._nodes)

    def next_ids(self, prefix: Sequence[int]) -> list[int]:
        """Ids that may follow `prefix` (no begin token), sorted; the end token alone if `prefix` is not in the tree."""
        node = self._nodes[0]
        for token in prefix:
            node = node.get(int(token))
            if node is None:
                return [EOS]
        return sorted(node) or [EOS]

    def edge_columns(self, columns: Columns, device: torch.device | str) -> LongTensor:
        """(E,) column of each edge, on `device`.

        Raises:
            SearchError: the network does not score an id of a candidate.
        """
        found = columns.column_of(self.edge_id.to(device))
        if (found < 0).any():
            ids = self.edge_id[(found < 0).cpu()].tolist()
            at = next(i for i, candidate in enumerate(self.candidates) if {*candidate, EOS} & set(ids))
            raise SearchError(
                f"candidate {at} {list(self.candidates[at])} holds ids that this network does not score (first: "
                f"{ids[0]}): its output_ids were restricted when it was trained; use a network with all of them"
            )
        return found

    def tables(self, columns: Columns, device: torch.device | str) -> "TrieTables":
        """The tree over the columns of a network's logits, on `device`.

        Raises:
            SearchError: the network does not score an id of a candidate.
        """
        edge_column = self.edge_columns(columns, device)
        node = self.edge_node.to(device)
        end = self.nodes
        child = self.edge_child.to(device)
        child = torch.where(child < 0, end, child)
        key, order = (node * columns.size + edge_column).sort()
        count = torch.bincount(node, minlength=end + 1)
        start = torch.zeros(end + 2, dtype=torch.long, device=device)
        start[1:] = count.cumsum(0)
        ends = torch.zeros(end + 1, dtype=torch.bool, device=device)
        ends[node[self.edge_id.to(device) == EOS]] = True
        return TrieTables(
            start=start,
            column=edge_column[order],
            child=child[order],
            key=key,
            ends=ends,
            width=int(count.max()),
            columns=columns.size,
        )


@dataclass(frozen=True)
class TrieTables:
    """A trie as compressed sparse rows: M nodes and one more, M, that stands for every place outside the tree."""

    start: LongTensor
    """(M + 2,) first edge of each node; node M has none."""
    column: LongTensor
    """(E,) column of each edge, sorted within a node."""
    child: LongTensor
    """(E,) node that each edge leads to; M after the end token."""
    key: LongTensor
    """(E,) node * K + column, sorted: the index for lookups."""
    ends: BoolTensor
    """(M + 1,) True for nodes where a candidate is complete."""
    width: int
    """Largest number of edges of a node, W."""
    columns: int
    """K."""

    def allowed(self, node: LongTensor) -> tuple[LongTensor, BoolTensor]:
        """Columns that may follow each of (N,) nodes: (N, W) columns and which of them are meant."""
        offset = torch.arange(self.width, device=node.device)
        start = self.start[node]
        real = offset < (self.start[node + 1] - start).unsqueeze(-1)
        edge = (start.unsqueeze(-1) + offset).clamp(max=len(self.column) - 1)
        return self.column[edge], real

    def advance(self, node: Tensor, column: Tensor) -> Tensor:
        """The nodes that (any shape of) nodes lead to by columns; M where there is no such edge."""
        key = node * self.columns + column
        edge = torch.searchsorted(self.key, key).clamp(max=len(self.key) - 1)
        return torch.where(self.key[edge] == key, self.child[edge], len(self.ends) - 1)
