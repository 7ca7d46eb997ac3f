"""The search on a GPU: everything on one device, the outputs of the CPU, and hardly ever waited for."""

from itertools import pairwise

import pytest
import torch

from ofa.generate import SearchConfig, Trie, generate, score_candidates
from tests.far import FarGPU
from tests.generate.networks import small_inputs, small_network

TRIE = Trie([[4], [5], [5, 6], [5, 6, 7], [9, 10, 11], [20, 21, 22]])
SEARCHES = {
    "beam": ({"beam": 4, "max_len_b": 9}, None, False),
    "beam after prompts": ({"beam": 3, "max_len_b": 9}, None, True),
    "trie": ({"beam": 3, "max_len_b": 9, "unnormalized": True}, TRIE, True),
    "trie after the softmax": ({"beam": 3, "max_len_b": 4, "zero_shot": True}, TRIE, False),
    "range": ({"beam": 2, "max_len_b": 6, "constraint_range": (30, 50)}, None, False),
    "n-grams": ({"beam": 3, "max_len_b": 8, "no_repeat_ngram": 2}, None, False),
    "groups": ({"beam": 4, "diverse_groups": 2, "max_len_a": 0.5, "max_len_b": 4}, None, False),
    "sampling": ({"beam": 3, "sampling": True, "top_k": 9, "top_p": 0.8, "max_len_b": 9}, None, False),
}


def outputs(results):
    return [[h.tokens.tolist() for h in hypotheses] for hypotheses in results]


@pytest.mark.parametrize("name", SEARCHES)
def test_a_search_gives_the_same_and_a_step_waits_once(name):
    """The one wait is for which sentences are done, which the host must know."""
    settings, trie, prompts = SEARCHES[name]
    config, net, inputs = SearchConfig(**settings), small_network(), small_inputs(5, prompts)
    inputs.seeds = [7, 8, 9, 10, 11]
    expected = outputs(generate(net, inputs, config, trie=trie))
    with FarGPU() as gpu:
        net, steps = net.to("cuda"), []
        step = net.step
        net.step = lambda tokens, cache: steps.append(len(gpu.waits)) or step(tokens, cache)
        assert outputs(generate(net, inputs.to("cuda"), config, trie=trie)) == expected
    waits = [gpu.waits[before:after] for before, after in pairwise(steps)]
    # Where the prompts end, what the rest of the search needs is made.
    begin = (inputs.prompt != 1).sum(1).max() if prompts else 0
    assert len(waits) > 2 and all(len(wait) == 1 for wait in waits[begin:]), waits


def test_candidates_score_the_same():
    net, inputs = small_network(), small_inputs(5, prompts=True)
    expected = score_candidates(net, inputs, TRIE.candidates)
    with FarGPU():
        found = score_candidates(net.to("cuda"), inputs.to("cuda"), TRIE.candidates)
        assert found.device.type == "cuda"
        torch.testing.assert_close(found.cpu(), expected)


def test_the_far_gpu_refuses_what_a_gpu_refuses():
    with FarGPU() as gpu:
        there = torch.arange(4, device="cuda")
        with pytest.raises(RuntimeError, match="same device"):
            there + torch.arange(4)
        with pytest.raises(RuntimeError, match="a generator on cpu"):
            torch.rand(4, device="cuda", generator=torch.Generator())
        assert gpu.waits == []
        there[there > 1] += 1
        assert there.tolist() == [0, 1, 3, 4] and there.device.type == "cuda" and there.cpu().device.type == "cpu"
        assert bool((there > 1).any()) and len((there > 1).nonzero()) == 2 and torch.ones(1).to("cuda").sum() == 1
        assert len(gpu.waits) >= 6
