"""A step of a search is one graph."""

import pytest
import torch

from ofa.generate import SearchConfig, Trie
from ofa.generate.batch import encode
from ofa.generate.network import NetworkDecoder
from ofa.generate.network import step as network_step
from ofa.generate.search import extend, search
from tests.generate.networks import small_inputs, small_network

TRIE = Trie([[4], [5], [5, 6], [5, 6, 7], [9, 10, 11], [20, 21, 22]])


def outputs(results):
    return [[h.tokens.tolist() for h in hypotheses] for hypotheses in results]


@pytest.mark.parametrize(
    ("settings", "trie", "prompts"),
    [
        ({"beam": 4, "max_len_b": 7, "no_repeat_ngram": 2}, None, False),
        ({"beam": 3, "max_len_b": 12, "unnormalized": True}, TRIE, True),
        ({"sampling": True, "top_k": 9}, None, False),
    ],
)
def test_choosing_compiles_whole(settings, trie, prompts):
    """A few graphs serve all batches: with and without prompt, before and after the trie narrows what is scored, and
    one for a single sentence, whose sizes torch.compile treats as constants."""
    graphs = []

    def count(graph, _):
        graphs.append(graph)
        return graph.forward

    torch._dynamo.reset()
    config = SearchConfig(**settings)
    net, inputs = small_network(), small_inputs(5, prompts)
    compiled = torch.compile(extend, fullgraph=True, dynamic=True, backend=count)
    for batch in (5, 3, 4):
        some = inputs.select(slice(0, batch))
        plain, whole = (run(net, some, config, trie, chosen) for chosen in (extend, compiled))
        assert outputs(plain) == outputs(whole)
    assert len(graphs) <= 4


def run(net, inputs, config, trie, chosen):
    with torch.no_grad():
        decoder = NetworkDecoder(net, encode(net, inputs), config.beam, config.max_len_b + 1)
        return search(
            decoder,
            config,
            torch.full((len(inputs.source),), config.max_len_b),
            trie=trie,
            prompt=None if inputs.prompt is None else inputs.prompt[:, 1:],
            seeds=[*range(len(inputs.source))],
            extend=chosen,
        )


def test_the_network_step_compiles_whole():
    torch._dynamo.reset()
    net, inputs = small_network(), small_inputs(4)
    compiled = torch.compile(network_step, fullgraph=True, dynamic=True, backend="eager")
    weight = net.embed_tokens.weight
    with torch.no_grad():
        encoded = encode(net, inputs)
        plain, cached = net.start(encoded, 2, 6), net.start(encoded, 2, 6)
        for tokens in torch.randint(4, 64, (6, 8), generator=torch.Generator().manual_seed(0)):
            torch.testing.assert_close(
                compiled(net, tokens, cached, weight), network_step(net, tokens, plain, weight), atol=1e-5, rtol=0
            )
