"""Training with a restricted output touches only its rows, and gives what the full matrix would give."""

import pytest
import torch

from ofa.errors import OFAError
from ofa.train.compact import CompactVocabulary
from ofa.train.loop import train
from ofa.train.losses import SequenceLoss
from tests.train import toy

IDS = tuple(sorted({0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 30}))


def test_rows_in_use_get_the_updates_of_the_full_matrix(tmp_path):
    config = toy.settings(steps=8, precision="fp32", ema_decay=0.7, weight_decay=0.0, label_smoothing=0.1)
    compact, full = (toy.network(output_ids=IDS) for _ in range(2))
    train(compact, toy.stream(config), config, tmp_path / "compact")
    train(full, toy.stream(config), config, tmp_path / "full", objective=SequenceLoss(config))
    assert CompactVocabulary.of(compact) is not None
    for name, value in full.state_dict().items():
        torch.testing.assert_close(compact.state_dict()[name], value, atol=1e-5, rtol=1e-4, msg=name)


def test_unused_rows_stay_as_they_are(tmp_path):
    config = toy.settings(steps=3)
    net = toy.network(output_ids=IDS)
    before = net.embed_tokens.weight.detach().clone()
    train(net, toy.stream(config), config, tmp_path)
    unused = [i for i in range(toy.VOCABULARY) if i not in IDS]
    assert torch.equal(net.embed_tokens.weight[unused], before[unused])
    assert not torch.equal(net.embed_tokens.weight[list(IDS)], before[list(IDS)])


def test_a_validation_sees_the_full_network_with_the_trained_rows(tmp_path):
    config = toy.settings(steps=4, validate_every=2)
    net = toy.network(output_ids=IDS)
    seen = []

    def validate(measured, pause):
        assert measured is net and not measured.training
        seen.append(measured.embed_tokens.weight.detach().clone())
        return {"score": 0.0}

    train(net, toy.stream(config), config, tmp_path, validate=validate)
    assert not torch.equal(seen[0], seen[1])
    assert torch.equal(seen[1], net.embed_tokens.weight)


@pytest.mark.parametrize(
    ("missing", "changes", "reason"),
    [
        (11, {}, r"sample 'row\d+' holds tokens that the network does not know: \[11\]"),
        (7, {"allowed_range": (4, 8)}, r"target of sample 'row\d+' holds ids that the network does not score: \[7\]"),
        (7, {"freeze": ("embed_tokens.*",)}, r"target of sample 'row\d+' holds ids .* does not score: \[7\]"),
    ],
)
def test_a_token_outside_is_named_with_its_sample(tmp_path, missing, changes, reason):
    config = toy.settings(**changes)
    with pytest.raises(OFAError, match=reason):
        train(toy.network(output_ids=tuple(i for i in IDS if i != missing)), toy.stream(config), config, tmp_path)
