"""Candidates' log-probabilities: the original's, and those of one teacher-forced pass a candidate."""

import pytest
import torch

from ofa.generate import SearchConfig, SearchError, Trie, candidates, generate, score_candidates
from tests.generate.networks import small_inputs, small_network

CANDIDATES = [[4], [5], [5, 6], [5, 6, 7], [5, 6, 8], [9, 10, 11], [9, 10, 12, 13], [20, 21, 22, 23, 24], []]


def one_by_one(net, inputs, lists):
    """Each candidate by itself: mask the logits with what may follow, take the log-softmax, add up."""
    trie = Trie(lists)
    scores = torch.zeros(len(inputs.source), len(lists))
    for row in range(len(inputs.source)):
        one = inputs.select([row])
        prompt = [0] if inputs.prompt is None else inputs.prompt[row][inputs.prompt[row] != 1].tolist()
        for column, candidate in enumerate(lists):
            previous = torch.tensor([[*prompt, *candidate]])
            logits = net(one.source, previous, one.images, one.image_mask)[0, len(prompt) - 1 :]
            for i, token in enumerate([*candidate, 2]):
                allowed = trie.next_ids(candidate[:i])
                scores[row, column] += logits[i][allowed].log_softmax(0)[allowed.index(token)]
    return scores


@pytest.mark.parametrize("prompts", [False, True])
@pytest.mark.parametrize("lists", [CANDIDATES, [[4], [5], [6, 7]], [[4, 5]], [[4, 5, 6], [4, 5, 7]]])
def test_same_as_one_by_one(prompts, lists):
    net, inputs = small_network(), small_inputs(5, prompts)
    with torch.no_grad():
        wanted = one_by_one(net, inputs, lists)
    torch.testing.assert_close(score_candidates(net, inputs, lists), wanted, atol=1e-4, rtol=0)


def test_parts_of_a_batch_give_the_same(monkeypatch):
    net, inputs = small_network(), small_inputs(6)
    whole = score_candidates(net, inputs, CANDIDATES)
    monkeypatch.setattr(candidates, "EDGES", 9)
    torch.testing.assert_close(score_candidates(net, inputs, CANDIDATES), whole, atol=1e-5, rtol=0)


def test_a_wide_search_in_the_trie_finds_the_same_scores():
    net, inputs = small_network(), small_inputs(3)
    scores = score_candidates(net, inputs, CANDIDATES)
    found = generate(net, inputs, SearchConfig(beam=40, unnormalized=True, min_len=0), Trie(CANDIDATES))
    for row, hypotheses in zip(scores, found, strict=True):
        assert len(hypotheses) == len(CANDIDATES)
        for h in hypotheses:
            assert h.score == pytest.approx(float(row[CANDIDATES.index(h.tokens[:-1].tolist())]), abs=1e-4)


def test_a_network_that_scores_some_ids_gives_the_same():
    ids = sorted({2} | {i for c in CANDIDATES for i in c})
    some, inputs = small_network(output_ids=tuple(ids)), small_inputs(3)
    torch.testing.assert_close(
        score_candidates(some, inputs, CANDIDATES),
        score_candidates(small_network(), inputs, CANDIDATES),
        atol=1e-5,
        rtol=0,
    )
    with pytest.raises(SearchError, match=r"candidate 1 \[60\]"):
        score_candidates(some, inputs, [[4], [60]])


def test_a_trie_of_other_candidates_is_refused():
    with pytest.raises(SearchError, match="the trie holds 1 candidates, but 2 are given"):
        score_candidates(small_network(), small_inputs(1), [[4], [5]], trie=Trie([[4]]))
