"""Outputs of the network for a batch."""

from collections.abc import Sequence
from functools import cache
from typing import Protocol

import torch
from torch import BoolTensor, LongTensor, Tensor

from ofa.generate.columns import PAD
from ofa.generate.config import SearchConfig, SearchError
from ofa.generate.finished import Hypothesis
from ofa.generate.network import NetworkDecoder
from ofa.generate.search import extend, search
from ofa.generate.trie import Trie
from ofa.model import OFAModel
from ofa.model.encoder import Encoded


class Inputs(Protocol):
    """What is read of a batch; `ofa.data.batch.Batch` has it all. On the network's device."""

    source: LongTensor
    """(B, S) encoder tokens, padded right with 1."""
    prompt: LongTensor | None
    """(B, P) decoder prompts, begin token first, padded right with 1; None for the begin token alone."""
    code_mask: BoolTensor | None
    """(B,) True where the output consists of image codes; None for nowhere."""
    seeds: Sequence[int | None] | None
    """(B,) of what is drawn for each sample, whatever else is in its batch. None: another one each time, from torch's
    own randomness."""

    def inputs(self) -> dict[str, Tensor | None]:
        """Keyword arguments of `OFAModel.encode`."""


def generate(
    net: OFAModel,
    inputs: Inputs,
    config: SearchConfig,
    trie: Trie | None = None,
    prefix: LongTensor | None = None,
    compiled: bool = False,
) -> list[list[Hypothesis]]:
    """The best outputs of each sample, found with the original's beam search, or drawn.

    Args:
        net: the network, in evaluation mode, on any device, in float32 or bfloat16.
        inputs: B samples.
        config: the settings.
        trie: the outputs that are allowed, such as a list of answers; None for all.
        prefix: (B, P) tokens that the outputs begin with, padded right with 1; None for those of `inputs.prompt`.
            They are part of the outputs and their log-probabilities count.
        compiled: run steps through `torch.compile`: minutes at first, then faster. For many batches on a GPU.

    Returns:
        For each sample up to `config.beam` hypotheses, best first.

    Raises:
        SearchError: the network is in training mode, the trie holds ids that the network does not score, or no output
            is allowed that is short and long enough.
        OFAError: an output may be longer than the network can write.
    """
    if prefix is None and inputs.prompt is not None:
        prefix = inputs.prompt[:, 1:]
    max_length = ((inputs.source != PAD).sum(1) * config.max_len_a + config.max_len_b).long()
    limits = max_length.tolist()
    if min(limits) < config.min_len:
        raise SearchError(f"min_len {config.min_len} is more than the largest length of an output, {min(limits)}")
    with torch.no_grad():
        decoder = NetworkDecoder(net, encode(net, inputs), config.beam, max(limits) + 1, inputs.code_mask, compiled)
        results = search(
            decoder,
            config,
            max_length,
            trie=trie,
            prompt=prefix,
            codes=inputs.code_mask,
            seeds=inputs.seeds,
            extend=compiled_extend() if compiled else extend,
        )
    for row, hypotheses in enumerate(results):
        if not hypotheses:
            raise SearchError(
                f"sample {row} of the batch has no output of at most {limits[row]} tokens: raise max_len_b "
                "above prompt and longest candidate; if it is large enough, the network's outputs are not numbers"
            )
    return results


def encode(net: OFAModel, inputs: Inputs) -> Encoded:
    """The encoder's output for a batch, with pictures in the network's type.

    Raises:
        SearchError: the network is in training mode.
    """
    if net.training:
        raise SearchError("the network is in training mode, where its outputs are random: call net.eval() first")
    arguments = inputs.inputs()
    if arguments.get("images") is not None:
        arguments["images"] = arguments["images"].to(net.embed_tokens.weight.dtype)
    return net.encode(**arguments)


@cache
def compiled_extend():
    """`extend` through `torch.compile`; one graph for all sizes of a batch."""
    return torch.compile(extend, fullgraph=True, dynamic=True)
