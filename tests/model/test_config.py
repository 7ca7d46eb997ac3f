"""Sizes and checks of the configuration."""

import json

import pytest
import torch

from ofa.errors import OFAError
from ofa.model import OFAConfig, OFAModel

PARAMETERS = {
    "tiny": 33_488_336,
    "medium": 92_892_000,
    "base": 182_238_536,
    "large": 472_977_152,
    "huge": 929_486_848,
}


@pytest.mark.parametrize("size", PARAMETERS)
def test_sizes_have_the_published_number_of_parameters(size):
    with torch.device("meta"):
        net = OFAModel(OFAConfig.preset(size))
    assert sum(parameter.numel() for parameter in net.parameters()) == PARAMETERS[size]


def test_configuration_survives_json():
    config = OFAConfig.preset("nano", output_ids=(0, 2, 5), adapter_dim=8)
    assert OFAConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_unknown_names_are_refused_with_the_nearest_known_one():
    with pytest.raises(OFAError, match="did you mean 'large'"):
        OFAConfig.preset("larg")
    with pytest.raises(OFAError, match="did you mean 'dropout'"):
        OFAConfig.preset("tiny", dropot=0.1)


@pytest.mark.parametrize(
    "wrong",
    [
        dict(encoder_heads=5),
        dict(dropout=1.0),
        dict(output_ids=(3, 2)),
        dict(output_ids=(59457,)),
        dict(resnet_blocks=(1, 1)),
        dict(code_image_size=344),
        dict(adapter_dim=-1),
        dict(decoder_layers=0),
        dict(sync_batch_norm=True, freeze_resnet=True),
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_wrong_values_are_refused_by_name(wrong):
    with pytest.raises(OFAError, match=next(iter(wrong))):
        OFAConfig.preset("tiny", **wrong)
