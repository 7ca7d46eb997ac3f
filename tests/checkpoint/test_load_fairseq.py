"""Checkpoints of the original load: configuration, names, precision, moving averages."""

import argparse

import pytest
import torch

from ofa.checkpoint import load_fairseq
from ofa.errors import OFAError
from ofa.model import OFAModel


@pytest.fixture(scope="module")
def original(golden):
    """The recorded checkpoint as the original would read it."""
    return torch.load(golden / "ofa_micro_random.pt", weights_only=False)


def test_configuration_and_weights_of_the_recorded_network(golden, original):
    config, state = load_fairseq(golden / "ofa_micro_random.pt")
    assert (config.d_model, config.encoder_layers, config.resnet_blocks, config.vocabulary_size) == (
        64, 2, (2, 2, 2), 59457,
    )  # fmt: skip
    assert OFAModel(config).load_state_dict(state)
    assert all(tensor.dtype == torch.float32 for tensor in state.values() if tensor.is_floating_point())
    expected = original["model"]["decoder.layers.1.encoder_attn.q_proj.weight"].float()
    assert torch.equal(state["decoder.layers.1.cross_attention.query.weight"], expected)


def test_fields_can_be_overridden(golden):
    config, _ = load_fairseq(golden / "ofa_micro_random.pt", dropout=0.25, code_image_size=256)
    assert (config.dropout, config.code_image_size) == (0.25, 256)


def test_moving_average_is_loaded_on_request(golden, original, tmp_path):
    averaged = {name: tensor + 1 if tensor.dim() else tensor for name, tensor in original["model"].items()}
    torch.save(original | {"extra_state": {"ema": averaged}}, tmp_path / "ema.pt")
    _, state = load_fairseq(tmp_path / "ema.pt", ema=True)
    assert torch.equal(state["encoder.norm.bias"], averaged["encoder.layer_norm.bias"].float())
    with pytest.raises(OFAError, match="no moving average"):
        load_fairseq(golden / "ofa_micro_random.pt", ema=True)


def test_configuration_may_be_args_or_omegaconf(golden, original, tmp_path):
    expected, _ = load_fairseq(golden / "ofa_micro_random.pt")
    arguments = original["cfg"]["model"]
    torch.save({"model": original["model"], "args": arguments, "cfg": None}, tmp_path / "args.pt")
    assert load_fairseq(tmp_path / "args.pt")[0] == expected
    omegaconf = pytest.importorskip("omegaconf")
    cfg = omegaconf.OmegaConf.create({"model": vars(arguments), "task": {"name": "caption"}})
    torch.save({"model": original["model"], "args": None, "cfg": cfg}, tmp_path / "omegaconf.pt")
    assert load_fairseq(tmp_path / "omegaconf.pt")[0] == expected


def test_shared_batch_norm_goes_before_frozen_as_in_the_original(original, tmp_path):
    arguments = argparse.Namespace(**(vars(original["cfg"]["model"]) | dict(sync_bn=True, freeze_resnet=True)))
    torch.save({"model": original["model"], "cfg": {"model": arguments}}, tmp_path / "both.pt")
    config, state = load_fairseq(tmp_path / "both.pt")
    assert (config.sync_batch_norm, config.freeze_resnet) == (True, False)
    assert OFAModel(config).load_state_dict(state)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(resnet_type="vit_base"), "image stem is 'vit_base'"),
        (dict(encoder_normalize_before=False), "encoder_normalize_before = False"),
        (dict(activation_fn="relu"), "activation_fn = 'relu'"),
    ],
    ids=lambda value: "",
)
def test_networks_that_are_not_ofa_are_refused(original, tmp_path, change, message):
    arguments = argparse.Namespace(**(vars(original["cfg"]["model"]) | change))
    torch.save({"model": original["model"], "cfg": {"model": arguments}}, tmp_path / "other.pt")
    with pytest.raises(OFAError, match=message):
        load_fairseq(tmp_path / "other.pt")


def test_foreign_weights_are_named(original, tmp_path):
    weights = dict(original["model"], **{"decoder.experts.weight": torch.ones(1)})
    torch.save(original | {"model": weights}, tmp_path / "other.pt")
    with pytest.raises(OFAError, match="'decoder.experts.weight'"):
        load_fairseq(tmp_path / "other.pt")
    torch.save({"state_dict": {}}, tmp_path / "none.pt")
    with pytest.raises(OFAError, match="no 'model'"):
        load_fairseq(tmp_path / "none.pt")
