"""Our names and the original's name the same tensors."""

import pytest
import torch

from ofa.checkpoint.fairseq import buffers
from ofa.checkpoint.names import BUFFERS, from_fairseq, to_fairseq
from ofa.model import OFAConfig, OFAModel


def originals(state):
    """All names of the original's file for a network with our names, buffers that follow from its configuration too."""
    return [*BUFFERS, *(original for name in state for original in to_fairseq(name))]


@pytest.mark.parametrize("size", ["tiny", "base"])
def test_names_and_shapes_are_the_originals(golden, size):
    lines = (golden / f"state_dict_keys_{size}.txt").read_text().splitlines()
    expected = {name: shape for name, shape, _ in (line.split("\t") for line in lines)}
    types = {name: dtype for name, _, dtype in (line.split("\t") for line in lines)}
    config = OFAConfig.preset(size)
    with torch.device("meta"):
        state = OFAModel(config).state_dict()
    assert sorted(originals(state)) == sorted(expected)
    for name, tensor in state.items():
        for original in to_fairseq(name):
            assert (expected[original], types[original]) == (str(tuple(tensor.shape)), str(tensor.dtype))
    for name, tensor in buffers(config).items():
        assert (expected[name], types[name]) == (str(tuple(tensor.shape)), str(tensor.dtype))


@pytest.mark.parametrize(
    ("size", "count"), [("tiny", 543), ("medium", 849), ("base", 967), ("large", 1627), ("huge", 1903)]
)
def test_every_size_has_the_originals_number_of_names(size, count):
    with torch.device("meta"):
        names = originals(OFAModel(OFAConfig.preset(size)).state_dict())
    assert len(set(names)) == len(names) == count


def test_every_name_comes_back():
    changes = dict(adapter_dim=4, encoder_prompt_length=2, decoder_prompt_length=2, encoder_prompt_projection=3)
    with torch.device("meta"):
        net = OFAModel(OFAConfig.preset("nano", scale_resids=True, decoder_prompt_projection=3, **changes))
    names = [original for name in net.state_dict() for original in to_fairseq(name)]
    assert len(names) == len(set(names)) == len(net.state_dict()) + 2
    for name in net.state_dict():
        assert {from_fairseq(original) for original in to_fairseq(name)} == {name}


def test_unknown_names_have_no_counterpart():
    assert from_fairseq("decoder.layers.0.experts.weight") is None
    with pytest.raises(KeyError, match="nothing"):
        to_fairseq("encoder.nothing")
