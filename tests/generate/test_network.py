"""Searches with a real network: what must not matter does not."""

import copy
from dataclasses import replace

import pytest
import torch

from ofa.generate import SearchConfig, SearchError, Trie, generate
from ofa.generate.batch import encode
from ofa.generate.columns import Columns
from ofa.generate.search import search
from tests.generate.networks import small_inputs, small_network

CANDIDATES = Trie([[4], [5], [5, 6], [5, 6, 7], [9, 10, 11], [20, 21, 22]])
SETTINGS = [
    ({"beam": 4, "max_len_b": 7, "no_repeat_ngram": 2}, None, False),
    ({"beam": 3, "max_len_b": 12}, None, True),
    ({"beam": 3, "max_len_b": 12, "unnormalized": True}, CANDIDATES, True),
    ({"beam": 1, "max_len_b": 7, "constraint_range": (4, 20)}, None, False),
]


def outputs(results):
    return [[h.tokens.tolist() for h in hypotheses] for hypotheses in results]


def scores(results):
    return torch.tensor([h.score for hypotheses in results for h in hypotheses])


@pytest.mark.parametrize(("settings", "trie", "prompts"), SETTINGS)
def test_a_sample_alone_and_in_a_batch(settings, trie, prompts):
    net, inputs, config = small_network(), small_inputs(6, prompts), SearchConfig(**settings)
    together = generate(net, inputs, config, trie)
    for row, hypotheses in enumerate(together):
        alone = generate(net, inputs.select([row]), config, trie)
        assert outputs(alone) == outputs([hypotheses])
        torch.testing.assert_close(scores(alone), scores([hypotheses]), atol=1e-4, rtol=0)


class Recomputing:
    """A decoder without a cache: runs the whole of every hypothesis again at each step."""

    def __init__(self, net, inputs, beams):
        self.net, self.beams = net, beams
        self.encoded = encode(net, inputs)
        self.columns = Columns.of(net.output_ids, net.config.vocabulary_size)
        self.sentences = torch.arange(len(inputs.source))
        self.history = torch.empty(len(inputs.source) * beams, 0, dtype=torch.long)
        self.ids = slice(None)

    def _logits(self):
        encoded = self.encoded.select(self.sentences.repeat_interleave(self.beams))
        return self.net.decode(self.history, encoded)[..., self.ids]

    def read(self, tokens):
        self.history = tokens.repeat_interleave(self.beams, dim=0)
        return self._logits()[:: self.beams]

    def step(self, tokens):
        self.history = torch.cat([self.history, tokens[:, None]], dim=1)
        return self._logits()[:, -1]

    def reorder(self, rows):
        self.history = self.history[rows]

    def keep(self, sentences):
        self.sentences = self.sentences[sentences]
        self.history = self.history.view(-1, self.beams, self.history.shape[1])[sentences].flatten(0, 1)

    def restrict(self, ids):
        self.columns, self.ids = type(self.columns).of(ids, self.net.config.vocabulary_size), ids


@pytest.mark.parametrize(("settings", "trie", "prompts"), SETTINGS)
def test_the_cache_changes_nothing(settings, trie, prompts):
    net, inputs, config = small_network(), small_inputs(5, prompts), SearchConfig(**settings)
    found = generate(net, inputs, config, trie)
    with torch.no_grad():
        wanted = search(
            Recomputing(net, inputs, config.beam),
            config,
            torch.full((5,), config.max_len_b),
            trie=trie,
            prompt=inputs.prompt[:, 1:] if prompts else None,
        )
    assert outputs(found) == outputs(wanted)
    torch.testing.assert_close(scores(found), scores(wanted), atol=1e-4, rtol=0)


def test_bfloat16():
    net, inputs = small_network(), small_inputs(4, prompts=True)
    config = SearchConfig(beam=3, max_len_b=8)
    half = copy.deepcopy(net).bfloat16()
    found = generate(half, inputs, config)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = generate(net, inputs, config)
    for results in (found, mixed):
        assert all(len(hypotheses) == 3 for hypotheses in results)
        # The best output need not be the same one; it must score what float32 says, within bfloat16's precision.
        torch.testing.assert_close(scores(results), scores(generate(net, inputs, config)), atol=0.5, rtol=0.05)


def test_a_seed_decides_what_is_drawn():
    net, inputs = small_network(), small_inputs(3)
    config = SearchConfig(sampling=True, beam=4, max_len_b=8, top_p=0.9)
    one, same, other = (outputs(generate(net, replace(inputs, seeds=[seed] * 3), config)) for seed in (1, 1, 2))
    assert one == same != other
    for row in range(3):
        alone = replace(inputs.select(slice(row, row + 1)), seeds=[1])
        assert outputs(generate(net, alone, config)) == one[row : row + 1]


def test_a_network_in_training_mode_is_refused():
    with pytest.raises(SearchError, match=r"call net\.eval\(\) first"):
        generate(small_network().train(), small_inputs(1), SearchConfig())


def test_a_trie_and_a_range_are_refused():
    with pytest.raises(SearchError, match="a trie or a constraint_range, not both"):
        generate(small_network(), small_inputs(1), SearchConfig(constraint_range=(4, 9)), CANDIDATES)


def test_candidates_that_are_too_long_are_named():
    with pytest.raises(SearchError, match="sample 0 of the batch has no output of at most 1 tokens"):
        generate(small_network(), small_inputs(1), SearchConfig(max_len_b=1), Trie([[4, 5, 6]]))


def test_a_largest_length_below_the_smallest_is_refused():
    with pytest.raises(SearchError, match="min_len 30 is more than the largest length of an output, 8"):
        generate(small_network(), small_inputs(4), SearchConfig(min_len=30, max_len_a=1, max_len_b=2))
