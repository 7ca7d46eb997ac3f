"""Three updates of the recorded network against the original's optimizer."""

import numpy as np
import pytest

from ofa.checkpoint.names import from_fairseq
from ofa.errors import OFAError
from ofa.train.config import TrainConfig
from ofa.train.losses import SequenceLoss
from ofa.train.optimizer import AdamW, freeze
from tests.train import toy


def test_three_updates_are_the_originals(golden, recorded_net, recorded_batch):
    recorded = np.load(golden / "variants_micro.npz")
    config = TrainConfig(steps=3, lr=1e-4, weight_decay=0.01, clip_norm=1.0, label_smoothing=0.1)
    net, batch, objective = recorded_net(), recorded_batch("base"), SequenceLoss(config)
    optimizer = AdamW(net, config)
    parameters = dict(net.named_parameters())
    names = [from_fairseq(str(name)) for name in recorded["adam/names"]]
    for step in range(3):
        result = objective(net, batch, step)
        assert result.loss.item() == pytest.approx(float(recorded[f"adam/step{step}/loss"]), rel=1e-5)
        optimizer.zero_grad()
        (result.loss / result.size).backward()
        norm = optimizer.clip(config.clip_norm)
        assert norm == pytest.approx(float(recorded[f"adam/step{step}/grad_norm_before_clip"]), rel=1e-4)
        optimizer.step(config.lr)
        norms = [parameters[name].double().norm().item() for name in names]
        assert norms == pytest.approx(recorded[f"adam/step{step}/param_norms"].tolist(), rel=5e-6)
        for name, expected in zip(names, recorded[f"adam/step{step}/param_first4"], strict=True):
            actual = parameters[name].detach().flatten()[:4].tolist()
            assert actual == pytest.approx(expected[: len(actual)].tolist(), abs=5e-6, rel=1e-5), name


def test_frozen_parameters_are_named_by_patterns():
    net = toy.network()
    freeze(net, ["encoder.resnet.*", "embed_tokens.weight"])
    frozen = {name for name, p in net.named_parameters() if not p.requires_grad}
    assert frozen == {name for name, _ in net.named_parameters() if name.startswith(("encoder.resnet.", "embed_tok"))}


@pytest.mark.parametrize(("patterns", "message"), [(["decoder.layer.*"], "decoder.layer"), (["*"], "nothing is left")])
def test_freezing_nothing_or_everything_is_an_error(patterns, message):
    with pytest.raises(OFAError, match=message):
        freeze(toy.network(), patterns)
