"""Networks on disk can be looked at, compared and converted."""

import pytest
import torch

from ofa.checkpoint import convert, diff, inspect, load, save_folder
from ofa.errors import OFAError
from ofa.model import OFAConfig, OFAModel


@pytest.fixture
def folder(tmp_path):
    torch.manual_seed(0)
    save_folder(tmp_path / "net", OFAModel(OFAConfig.preset("tiny", vocabulary_size=50)))
    return tmp_path / "net"


def test_inspection_tells_size_and_parameters(folder):
    facts = inspect(folder)
    assert (facts["format"], facts["size"]) == ("folder", "tiny")
    assert facts["parameters"] == sum(parameter.numel() for parameter in load(folder).parameters())
    assert facts["config"]["vocabulary_size"] == 50


def test_conversion_there_and_back_changes_nothing(folder, tmp_path):
    convert(folder, tmp_path / "original.pt", "fairseq")
    convert(tmp_path / "original.pt", tmp_path / "port", "huggingface")
    convert(tmp_path / "port", tmp_path / "back", "folder")
    assert diff(folder, tmp_path / "original.pt") == []
    assert [difference.name for difference in diff(folder, tmp_path / "back")] == []
    with pytest.raises(OFAError, match="did you mean 'fairseq'"):
        convert(folder, tmp_path / "x", "fairsec")


def test_differences_are_named(folder, tmp_path):
    net = load(folder, dropout=0.5, adapter_dim=2)
    with torch.no_grad():
        net.encoder.norm.bias[3] += 0.25
    save_folder(tmp_path / "other", net)
    found = {difference.name: difference.detail for difference in diff(folder, tmp_path / "other")}
    assert found["dropout"] == "0.1 and 0.5"
    assert found["encoder.norm.bias"] == "differs by up to 0.25"
    assert found["encoder.layers.0.feed_forward.adapter.up.bias"] == f"only in {tmp_path / 'other'}"
    assert "encoder.norm.weight" not in found
