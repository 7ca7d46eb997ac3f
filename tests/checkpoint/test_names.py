"""Our names and the original's name the same tensors."""

import ast
import re

import pytest
import torch

from ofa.checkpoint.fairseq import buffers
from ofa.checkpoint.names import from_fairseq, to_fairseq
from ofa.model import OFAConfig, OFAModel


def recorded(golden, size):
    """Shape and type by name, of the original's network of a size."""
    lines = (golden / f"state_dict_keys_{size}.txt").read_text().splitlines()
    return {name: (ast.literal_eval(shape), dtype) for name, shape, dtype in (line.split("\t") for line in lines)}


def shapes_and_types(config):
    """The same of our network."""
    with torch.device("meta"):
        state = OFAModel(config).state_dict()
    named = buffers(config) | {original: tensor for name, tensor in state.items() for original in to_fairseq(name)}
    return {name: (tuple(tensor.shape), str(tensor.dtype)) for name, tensor in named.items()}


def resized(base, config):
    """The shapes of `base` in another size: other widths and heads, other numbers of layers and blocks."""
    numbers = {768: config.d_model, 3072: config.ffn_dim, 12: config.encoder_heads}
    result = {}
    for name, (shape, dtype) in base.items():
        names = [name]
        if match := re.fullmatch(r"((?:encoder|decoder)\.(?:layers|\w+_rel_pos_table_list)\.)(\d+)(\..+)", name):
            count = getattr(config, f"{name[:7]}_layers")
            names = [f"{match[1]}{i}{match[3]}" for i in range(count)] if match[2] == "0" else []
        elif (match := re.fullmatch(r"(encoder\.embed_images\.layer(\d)\.)(\d+)(\..+)", name)) and match[3] != "0":
            count = config.resnet_blocks[int(match[2]) - 1]
            names = [f"{match[1]}{i}{match[4]}" for i in range(1, count)] if match[3] == "1" else []
        result |= dict.fromkeys(names, (tuple(numbers.get(number, number) for number in shape), dtype))
    return result


@pytest.mark.parametrize("size", ["tiny", "base"])
def test_names_and_shapes_are_the_originals(golden, size):
    assert shapes_and_types(OFAConfig.preset(size)) == recorded(golden, size)


@pytest.mark.parametrize(
    ("size", "count"), [("tiny", 543), ("medium", 849), ("base", 967), ("large", 1627), ("huge", 1903)]
)
def test_every_size_has_the_originals_tensors_with_its_own_numbers(golden, size, count):
    config = OFAConfig.preset(size)
    found = shapes_and_types(config)
    assert len(found) == count
    assert found == resized(recorded(golden, "base"), config)


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
