"""What is meant to train trains, and nothing else."""

import pytest
import torch

from ofa.checkpoint.names import from_fairseq
from ofa.model import OFAConfig, OFAModel
from ofa.model.tuning import PROMPT_DROPOUT, trainable

PROMPTS = dict(encoder_prompt_length=2, decoder_prompt_length=3)


def network(**changes):
    torch.manual_seed(0)
    return OFAModel(OFAConfig.preset("nano", vocabulary_size=60, encoder_layers=1, decoder_layers=1, **changes))


def moved(net):
    """Names of the parameters that a step of plain gradient descent changes."""
    before = {name: parameter.detach().clone() for name, parameter in net.named_parameters()}
    chosen = [parameter for parameter in net.parameters() if parameter.requires_grad]
    optimizer = torch.optim.SGD(chosen, lr=1.0)
    source, previous = torch.randint(4, 60, (2, 5)), torch.randint(4, 60, (2, 4))
    codes = torch.tensor([True, False])
    logits = net.train()(source, previous, torch.randn(2, 3, 32, 32), code_mask=codes)
    (logits.log_softmax(-1)[..., 7].sum() + logits.square().sum()).backward()
    optimizer.step()
    return {name for name, parameter in net.named_parameters() if not torch.equal(parameter, before[name])}


@pytest.mark.parametrize(
    ("changes", "belongs"),
    [
        (PROMPTS, lambda name: ".prompt." in name),
        (dict(adapter_dim=3), lambda name: ".adapter." in name),
        (PROMPTS | dict(adapter_dim=3), lambda name: ".prompt." in name or ".adapter." in name),
        (dict(bitfit=True), lambda name: name.endswith(".bias")),
        (dict(freeze_embeddings=True), lambda name: name != "embed_tokens.weight"),
    ],
    ids=["prompts", "adapters", "both", "bitfit", "embeddings"],
)
def test_a_step_moves_only_what_is_tuned(changes, belongs):
    net = network(**changes)
    names = {name for name, _ in net.named_parameters()}
    assert set(trainable(net)) == {name for name in names if belongs(name)}
    changed = moved(net)
    assert changed <= set(trainable(net))
    assert len(changed) > 0.8 * len(trainable(net))


def test_everything_trains_by_default():
    net = network()
    assert set(trainable(net)) == {name for name, _ in net.named_parameters()}
    # Shifts of all position keys alike change no attention, so the biases of keys have no gradient.
    assert {name for name in trainable(net) if not name.endswith("key.bias")} - moved(net) == set()


def test_prompts_train_what_the_original_trains(arrays):
    recorded = arrays("variants_micro.npz").file
    projected = PROMPTS | dict(encoder_prompt_projection=4, decoder_prompt_projection=4)
    for variant, changes in (("prefix", PROMPTS), ("prefix_projection", projected)):
        names = {from_fairseq(name) for name in recorded[f"{variant}/trainable"].tolist()}
        assert set(trainable(network(**changes))) == names


def test_bitfit_trains_every_bias_and_so_those_of_the_original(arrays, build):
    originals = {from_fairseq(name) for name in arrays("variants_micro.npz").file["bitfit_trainable"].tolist()}
    names = set(trainable(build(bitfit=True)))
    assert originals < names
    assert names == {name for name, _ in build().named_parameters() if name.endswith(".bias")}


def test_frozen_resnet_keeps_statistics_scale_and_shift_and_trains_convolutions():
    net = network(freeze_resnet=True)
    before = {name: buffer.clone() for name, buffer in net.named_buffers()}
    changed = moved(net)
    assert all(torch.equal(buffer, before[name]) for name, buffer in net.named_buffers())
    resnet = {name for name in changed if name.startswith("encoder.resnet.")}
    assert resnet and all(".conv" in name or ".downsample.0." in name for name in resnet)


def test_prompt_dropout_differs_between_samples():
    net = network(**PROMPTS).train()
    keys, _ = net.encoder.prompt(50)[0]
    dropped = (keys == 0).float().flatten(1)
    assert abs(dropped.mean().item() - PROMPT_DROPOUT) < 0.02
    assert dropped.mean(0).max() < 0.6
    assert len(net.eval().encoder.prompt(50)[0][0]) == 1
