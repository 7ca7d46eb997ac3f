"""Training starts from a checkpoint, or from scratch and says so."""

import logging

import pytest
import torch

from components.train.network import first_network
from ofa.checkpoint import save_fairseq, save_folder
from ofa.model import OFAConfig, OFAModel


@pytest.mark.parametrize("kind", ["original", "folder"])
def test_a_checkpoint_is_taken_and_named(small_tables, params, tmp_path, caplog, kind):
    small = dict(vocabulary_size=100, d_model=32, encoder_layers=1, decoder_layers=1, resnet_blocks=(2, 2, 2))
    net = OFAModel(OFAConfig.preset("tiny", **small))
    path = tmp_path / ("net.pt" if kind == "original" else "net")
    if kind == "original":
        save_fairseq(path, net.config, net.state_dict())
    else:
        save_folder(path, net)
    with caplog.at_level(logging.INFO, "ofa"):
        first = first_network(str(small_tables), str(params), str(path))
    assert f"Loaded checkpoint {path}" in caplog.messages
    assert torch.equal(first.embed_tokens.weight, net.embed_tokens.weight)


def test_where_there_is_none_training_starts_from_scratch_and_says_so(small_tables, params, caplog):
    found = first_network(str(small_tables), str(params), "models/absent.pt")
    assert caplog.messages == ["no checkpoint at models/absent.pt: training starts from scratch"]
    scratch = first_network(str(small_tables), str(params))
    assert len(caplog.messages) == 1
    assert torch.equal(found.embed_tokens.weight, scratch.embed_tokens.weight)
