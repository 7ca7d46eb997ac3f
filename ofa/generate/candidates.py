"""Log-probabilities of given answers.

An answer's log-probability is that of its tokens and the end token, each renormalized over what the candidates allow
there, as in the original's evaluation with all candidates. So a token that is the only one possible costs nothing, and
the network is asked only where candidates part: once a sample for the first token, then once for each further place in
their tree that has several ways on. Samples share their encoder states, and a place goes on from the keys and values of
the place before it.

Shapes: B samples, N candidates, E edges of their tree, n places of one depth, D features.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import LongTensor, Tensor
from torch.nn.utils.rnn import pad_sequence

from ofa.generate.batch import Inputs, encode
from ofa.generate.columns import BOS, EOS, PAD, Columns
from ofa.generate.config import SearchError
from ofa.generate.network import branch
from ofa.generate.trie import Trie
from ofa.model import OFAModel
from ofa.model.encoder import Encoded

EDGES = 4096
"""Most edges of one depth that are scored at once, over all samples, where a single sample does not have more."""


def score_candidates(
    net: OFAModel,
    inputs: Inputs,
    candidates: Sequence[Sequence[int]],
    prompt: LongTensor | None = None,
    trie: Trie | None = None,
) -> Tensor:
    """Log-probability of each candidate as the output of each sample.

    Args:
        net: the network, in evaluation mode.
        inputs: B samples.
        candidates: token ids of N answers, without begin and end token.
        prompt: (B, P) decoder prompts, begin token first, padded right with 1; None for those of `inputs`. They do not
            count.
        trie: the tree of these candidates, where it is at hand.

    Returns:
        (B, N) float32 on the network's device, not divided by length.

    Raises:
        SearchError: the network is in training mode or does not score an id of a candidate; `trie` is of others.
    """
    trie = trie or Trie(candidates)
    if len(trie) != len(candidates):
        raise SearchError(f"the trie holds {len(trie)} candidates, but {len(candidates)} are given: make it from these")
    device = inputs.source.device
    prompt = inputs.prompt if prompt is None else prompt
    if prompt is None:
        prompt = torch.full((len(inputs.source), 1), BOS, device=device)
    trie.edge_columns(Columns.of(net.output_ids, net.config.vocabulary_size), device)
    scorer = _Scorer(net, trie, device)
    lengths = (prompt != PAD).sum(1)
    with torch.no_grad():
        encoded = encode(net, inputs)
        edges = torch.zeros(len(prompt), len(trie.edge_id) + 1, device=device)
        if not scorer.places:
            features = net.decode(prompt, encoded, features_only=True)
            edges[:, scorer.first] = scorer.part(features[torch.arange(len(prompt), device=device), lengths - 1])
        else:
            for length, numbers in _alike(lengths.tolist(), scorer.samples):
                rows = torch.tensor(numbers).to(device, non_blocking=True)
                edges[rows] = scorer.walk(encoded.select(rows), prompt[rows, :length])
    return edges[:, scorer.paths].sum(2)


def _alike(lengths: Sequence[int], most: int) -> Iterator[tuple[int, list[int]]]:
    """Each length, with the numbers of the samples that have it, at most so many at once."""
    for length in sorted(set(lengths)):
        numbers = [number for number, own in enumerate(lengths) if own == length]
        for start in range(0, len(numbers), most):
            yield length, numbers[start : start + most]


@dataclass(frozen=True)
class _Places:
    """The places of one depth where candidates part, or that lie on the way to such a place."""

    parent: LongTensor
    """(n,) place of the depth before that each follows; all 0 at depth 1."""
    token: LongTensor
    """(n,) id that leads to it."""
    edges: LongTensor
    """(e,) the edges that leave places with several ways on, in the numbering of the trie."""
    place: LongTensor
    """(e,) which place each leaves."""


@dataclass(frozen=True)
class _Plan:
    """What of a tree of candidates has to be asked, and how the answers add up."""

    ids: LongTensor
    """(E,) the token of each edge."""
    first: LongTensor
    """Edges that leave the root, if there are several."""
    places: list[_Places]
    """By depth, from 1."""
    paths: LongTensor
    """(N, L) edges of each candidate, its end included, padded with E."""


class _Scorer:
    """A plan and the rows of the output matrix that it needs, on the network's device."""

    def __init__(self, net: OFAModel, trie: Trie, device: torch.device):
        plan = _plan(trie, device)
        self._net = net
        self._weight = F.embedding(plan.ids, net.embed_tokens.weight).float()
        self.first, self.paths, self.places = plan.first, plan.paths, plan.places
        widest = max((max(len(p.token), len(p.edges)) for p in plan.places), default=1)
        self.samples = max(1, EDGES // widest)
        """How many samples to do at once."""

    def part(self, features: Tensor) -> Tensor:
        """Log-probabilities (B, e) of the root's edges, from features (B, D) after the prompt."""
        return F.linear(features.float(), self._weight[self.first]).log_softmax(1)

    def walk(self, encoded: Encoded, prompt: LongTensor) -> Tensor:
        """Log-probabilities (B, E + 1) of all edges; 0 for those that are the only way on. Prompts (B, P)."""
        batch, length = prompt.shape
        edges = torch.zeros(batch, len(self._weight) + 1, device=prompt.device)
        cache = self._net.start(encoded, 1, length + len(self.places))
        features = self._net.step(prompt, cache)[:, -1]
        if len(self.first):
            edges[:, self.first] = self.part(features)
        sample = torch.arange(batch, device=prompt.device).unsqueeze(1)
        for places in self.places:
            count = len(places.token)
            cache = branch(cache, (sample * cache.beams + places.parent).flatten(), count)
            features = self._net.step(places.token.repeat(batch), cache).view(batch, count, -1).float()
            logits = torch.einsum("bed,ed->be", features[:, places.place], self._weight[places.edges])
            edges[:, places.edges] = _log_softmax_within(logits, places.place, count)
        return edges


def _log_softmax_within(logits: Tensor, place: LongTensor, count: int) -> Tensor:
    """Log-softmax of logits (B, e) over the edges of each of `count` places (e,)."""
    index = place.expand_as(logits)
    largest = logits.new_full((len(logits), count), float("-inf")).scatter_reduce(1, index, logits, "amax")
    logits = logits - largest.gather(1, index)
    return logits - torch.zeros_like(largest).scatter_add(1, index, logits.exp()).log().gather(1, index)


@lru_cache(maxsize=4)
def _plan(trie: Trie, device: torch.device) -> _Plan:
    """Take a tree apart; remembered on the device, because batch after batch has the same candidates."""
    ways: list[list[tuple[int, int, int]]] = [[] for _ in range(trie.nodes)]
    following = {}
    for edge, (node, token, child) in enumerate(
        zip(trie.edge_node.tolist(), trie.edge_id.tolist(), trie.edge_child.tolist(), strict=True)
    ):
        ways[node].append((edge, token, child))
        following[node, token] = edge, child
    needed = [len(way) > 1 for way in ways]
    # Nodes are numbered breadth first, so a node's children come after it.
    for node in reversed(range(trie.nodes)):
        needed[node] |= any(child >= 0 and needed[child] for _, _, child in ways[node])

    places, level = [], [0]
    while level:
        steps = [
            (place, token, child)
            for place, node in enumerate(level)
            for _, token, child in ways[node]
            if child >= 0 and needed[child]
        ]
        level = [child for _, _, child in steps]
        edges = [(edge, i) for i, node in enumerate(level) if len(ways[node]) > 1 for edge, _, _ in ways[node]]
        if steps:
            parent, token, _ = torch.tensor(steps, device=device).unbind(1)
            edge, place = torch.tensor(edges, dtype=torch.long, device=device).view(-1, 2).unbind(1)
            places.append(_Places(parent, token, edge, place))

    paths = []
    for candidate in trie.candidates:
        node, path = 0, []
        for token in (*candidate, EOS):
            edge, node = following[node, token]
            path.append(edge)
        paths.append(torch.tensor(path))
    first = [edge for edge, _, _ in ways[0]] if len(ways[0]) > 1 else []
    return _Plan(
        trie.edge_id.to(device),
        torch.tensor(first, dtype=torch.long, device=device),
        places,
        pad_sequence(paths, batch_first=True, padding_value=len(trie.edge_id)).to(device),
    )
