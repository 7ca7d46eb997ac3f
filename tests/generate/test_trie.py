"""A search with a trie gives candidates and nothing else."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ofa.generate.columns import EOS, Columns
from ofa.generate.config import SearchConfig, SearchError
from ofa.generate.search import search
from ofa.generate.trie import Trie
from tests.generate.toy import ToyDecoder

VOCABULARY = 10
candidate_lists = st.lists(st.lists(st.integers(3, VOCABULARY - 1), max_size=4), min_size=1, max_size=12)


def walk(candidates, prefix):
    """Ids that may follow a prefix, by looking at every candidate."""
    ended = [(*c, EOS) for c in candidates]
    return sorted({c[len(prefix)] for c in ended if len(c) > len(prefix) and c[: len(prefix)] == tuple(prefix)})


@settings(deadline=None, max_examples=100)
@given(candidates=candidate_lists, restricted=st.booleans())
def test_tables_agree_with_the_list(candidates, restricted):
    trie = Trie(candidates)
    ids = torch.tensor(sorted({EOS} | {i for c in candidates for i in c})) if restricted else None
    columns = Columns.of(ids, VOCABULARY)
    tables = trie.tables(columns, "cpu")
    outside = len(tables.ends) - 1
    prefixes = {tuple(c[:i]) for c in candidates for i in range(len(c) + 1)}
    assert trie.nodes == len(prefixes)
    for prefix in prefixes:
        node = torch.tensor(0)
        for token in prefix:
            node = tables.advance(node, columns.column_of(torch.tensor(token)))
        column, real = tables.allowed(node.view(1))
        assert sorted(columns.id_of(column[real]).tolist()) == walk(candidates, prefix) == trie.next_ids(prefix)
        for token in set(range(VOCABULARY)) if ids is None else set(ids.tolist()):
            there = int(tables.advance(node, columns.column_of(torch.tensor(token))))
            assert (there != outside) == (token in walk(candidates, prefix) and token != EOS)
        assert bool(tables.ends[node]) == (list(prefix) in candidates)


@settings(deadline=None, max_examples=60)
@given(
    candidates=candidate_lists,
    beam=st.integers(1, 6),
    seed=st.integers(0, 3),
    zero_shot=st.booleans(),
    sampling=st.booleans(),
    prompts=st.lists(st.lists(st.integers(3, VOCABULARY - 1), max_size=3), min_size=2, max_size=2),
)
def test_outputs_are_candidates(candidates, beam, seed, zero_shot, sampling, prompts):
    decoder = ToyDecoder([0, 1], beam, VOCABULARY, seed=seed)
    prompt = torch.full((2, 3), 1)
    for row, ids in zip(prompt, prompts, strict=True):
        row[: len(ids)] = torch.tensor(ids)
    config = SearchConfig(beam=beam, zero_shot=zero_shot, sampling=sampling, min_len=0, max_len_b=16)
    results = search(decoder, config, torch.tensor([16, 16]), trie=Trie(candidates), prompt=prompt)
    for ids, hypotheses in zip(prompts, results, strict=True):
        assert hypotheses
        for h in hypotheses:
            tokens = h.tokens.tolist()
            assert tokens[: len(ids)] == ids and tokens[-1] == EOS
            assert tokens[len(ids) : -1] in candidates


def test_zero_shot_keeps_the_probabilities_of_the_open_vocabulary():
    trie = Trie([[4], [5, 6]])
    decoder = ToyDecoder([0], beam=4)
    config = SearchConfig(beam=4, zero_shot=True, unnormalized=True)
    (hypotheses,) = search(decoder, config, torch.tensor([8]), trie=trie)
    for h in hypotheses:
        assert h.score == pytest.approx(sum(decoder.log_probs(0, h.tokens.tolist())), abs=1e-5)


def test_a_candidate_that_the_network_cannot_write_is_named():
    columns = Columns.of(torch.tensor([0, 2, 4, 6]), VOCABULARY)
    with pytest.raises(SearchError, match=r"candidate 1 \[4, 5\].*first: 5"):
        Trie([[4], [4, 5], [6]]).tables(columns, "cpu")


def test_an_unknown_prefix_may_only_end():
    assert Trie([[4, 5]]).next_ids([5]) == [EOS]


def test_an_empty_trie_is_refused():
    with pytest.raises(SearchError, match="at least one candidate"):
        Trie([])
