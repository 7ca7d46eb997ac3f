"""New networks start as the original's do."""

import pytest
import torch
from torch import nn

from ofa.model import OFAConfig, OFAModel


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return OFAModel(OFAConfig.preset("nano", vocabulary_size=2000, adapter_dim=32, scale_resids=True, init_std=0.05))


def test_the_spread_is_the_original_s_unless_a_size_says_otherwise():
    spreads = {name: OFAConfig.preset(name).init_std for name in ("nano", "tiny", "medium", "base", "large", "huge")}
    assert spreads == {"nano": 0.08, "tiny": 0.02, "medium": 0.02, "base": 0.02, "large": 0.02, "huge": 0.02}


def test_matrices_are_normal_with_the_spread_that_is_asked_for(net):
    modules = [module for module in net.modules() if isinstance(module, nn.Linear | nn.Embedding)]
    assert len(modules) > 40
    for module in modules:
        if module.weight.numel() > 10_000:
            assert abs(module.weight.std().item() / 0.05 - 1) < 0.05
        if isinstance(module, nn.Linear):
            assert module.bias.count_nonzero() == 0
    assert net.embed_tokens.weight[1].count_nonzero() > 0


def test_convolutions_keep_the_variance_backwards(net):
    for module in net.encoder.resnet.modules():
        if isinstance(module, nn.Conv2d) and module.weight.numel() > 5_000:
            fan_out = module.out_channels * module.kernel_size[0] * module.kernel_size[1]
            assert abs(module.weight.std().item() * (fan_out / 2) ** 0.5 - 1) < 0.05


def test_norms_and_factors_start_neutral(net):
    state = net.state_dict()
    neutral = [name for name in state if "norm" in name or "scale" in name or ".bn" in name]
    ones = [name for name in neutral if name.endswith((".weight", "_scale", ".running_var"))]
    assert any("head_scale" in name for name in ones) and any("residual_scale" in name for name in ones)
    assert all((state[name] == 1).all() for name in ones)
    assert all((state[name] == 0).all() for name in neutral if name not in ones)


def test_a_seed_decides_every_value():
    def build(seed):
        torch.manual_seed(seed)
        return OFAModel(OFAConfig.preset("nano", vocabulary_size=100)).state_dict()

    first, again, other = build(0), build(0), build(1)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["embed_tokens.weight"], other["embed_tokens.weight"])


def test_a_network_built_without_memory_can_be_filled_in():
    config = OFAConfig.preset("nano", vocabulary_size=100, output_ids=(0, 2, 5), scale_resids=True)
    with torch.device("meta"):
        net = OFAModel(config)
    net.to_empty(device="cpu")
    usual = OFAModel(config)
    for each in (net, usual):
        torch.manual_seed(0)
        each.reset_parameters()
    assert net.output_ids.tolist() == [0, 2, 5]
    expected = usual.state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in net.state_dict().items())
