"""Networks on disk can be looked at, compared and converted."""

import logging

import pytest
import torch

from ofa.checkpoint import convert, diff, inspect, load, read_config, save_folder
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
    assert (facts["vocabulary"], facts["moving average"]) == ("of its own", "no")


def test_the_moving_average_is_told_of_and_converted_on_request(folder, tmp_path):
    convert(folder, tmp_path / "net.pt", "fairseq")
    checkpoint = torch.load(tmp_path / "net.pt", weights_only=False)
    average = {name: t + 1 if t.is_floating_point() else t for name, t in checkpoint["model"].items()}
    torch.save(checkpoint | {"extra_state": {"ema": average}}, tmp_path / "ema.pt")
    assert inspect(tmp_path / "ema.pt")["moving average"] == "yes"
    convert(tmp_path / "ema.pt", tmp_path / "average", "folder", ema=True)
    card = (tmp_path / "average" / "README.md").read_text()
    assert "Converted from `ema.pt`, the moving average of its weights." in card
    assert {difference.detail for difference in diff(folder, tmp_path / "average")} == {"differs by up to 1"}
    for path in (folder, tmp_path / "net.pt"):
        with pytest.raises(OFAError, match="holds no moving average"):
            convert(path, tmp_path / "x", "folder", ema=True)


@pytest.mark.parametrize("to", ["folder", "fairseq", "huggingface"])
def test_loading_names_the_checkpoint_and_its_configuration_can_be_read_alone(folder, tmp_path, caplog, to):
    convert(folder, tmp_path / "copy", to)
    expected = read_config(folder)
    caplog.clear()
    with caplog.at_level(logging.INFO, "ofa"):
        assert read_config(tmp_path / "copy") == expected
        assert caplog.messages == []
        load(tmp_path / "copy")
    assert caplog.messages == [f"Loaded checkpoint {tmp_path / 'copy'}"]


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
