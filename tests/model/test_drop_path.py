"""Branches are dropped for whole samples, more often in later layers, and never in evaluation."""

import pytest
import torch

from ofa.model import OFAConfig, OFAModel
from ofa.model.layers import drop_path


def test_samples_are_dropped_whole_and_the_mean_is_kept():
    torch.manual_seed(0)
    dropped = drop_path(torch.ones(4000, 3, 5), 0.25, training=True)
    per_sample = dropped.flatten(1)
    assert (per_sample == per_sample[:, :1]).all()
    kept = per_sample[:, 0] > 0
    assert torch.allclose(per_sample[kept], torch.tensor(4 / 3))
    assert abs(kept.float().mean().item() - 0.75) < 0.03
    assert torch.equal(drop_path(torch.ones(3), 0.25, training=False), torch.ones(3))


def test_rates_grow_linearly():
    changes = dict(vocabulary_size=9, encoder_drop_path=0.3, decoder_drop_path=0.2, resnet_drop_path=0.4)
    with torch.device("meta"):
        net = OFAModel(OFAConfig.preset("tiny", **changes, encoder_layers=4, decoder_layers=3))
    assert [layer.drop_path for layer in net.encoder.layers] == pytest.approx([0.0, 0.1, 0.2, 0.3])
    assert [layer.drop_path for layer in net.decoder.layers] == pytest.approx([0.0, 0.1, 0.2])
    assert [block.drop_path for block in net.encoder.resnet.layer1] == pytest.approx([0.0, 0.2, 0.4])
    assert [block.drop_path for block in net.encoder.resnet.layer2][0] == 0.0
    assert [block.drop_path for block in net.encoder.resnet.layer3][-1] == pytest.approx(0.4)


def test_training_differs_from_call_to_call_and_evaluation_does_not():
    torch.manual_seed(0)
    config = OFAConfig.preset("nano", vocabulary_size=50, encoder_drop_path=0.5, decoder_drop_path=0.5)
    net = OFAModel(config).train()
    source, previous = torch.randint(4, 50, (8, 5)), torch.randint(4, 50, (8, 4))
    with torch.no_grad():
        assert not torch.equal(net(source, previous), net(source, previous))
        net.eval()
        assert torch.equal(net(source, previous), net(source, previous))
