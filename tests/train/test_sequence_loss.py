"""The loss of whole batches, forward and backward through the network, against the original's."""

import numpy as np
import pytest
import torch

from ofa.checkpoint.names import from_fairseq
from ofa.data.batch import Allowed
from ofa.train.config import TrainConfig
from ofa.train.losses import SequenceLoss

CODES = (50265, 58457)
CASES = {
    "ce_ls0.1_eval": ("base", {"label_smoothing": 0.1}),
    "ce_ls0_eval": ("base", {}),
    "ce_sentence_avg": ("base", {"label_smoothing": 0.1, "sentence_average": True}),
    "ce_rdrop_eval": ("base", {"label_smoothing": 0.1, "rdrop_alpha": 5.0}),
    "ce_conf": ("conf", {"label_smoothing": 0.1}),
    "ce_drop_worst": ("base", {"label_smoothing": 0.1, "drop_worst_ratio": 0.2, "drop_worst_after": 10}),
    "ce_constraint_mask": ("cmask", {"label_smoothing": 0.1}),
    "ce_constraint_mask_conf": ("cmask", {"label_smoothing": 0.1}),
    "ce_constraint_mask_prompt": ("cmask_prompt", {"label_smoothing": 0.1}),
    "ce_constraint_range_codes": ("code", {"allowed_range": CODES}),
    "ce_constraint_range_codes_ls0.1": ("code", {"allowed_range": CODES, "label_smoothing": 0.1}),
    "el_log_end0.75": ("base", {"label_smoothing": 0.1, "encouraging_log_end": 0.75}),
    "el_drop_worst": ("base", {"label_smoothing": 0.1, "encouraging_log_end": 1.0, "drop_worst_ratio": 0.2}),
}


@pytest.fixture(scope="module")
def recorded(golden):
    return np.load(golden / "loss_micro.npz")


def allowed(recorded, name: str) -> Allowed:
    sample, position, token = torch.from_numpy(recorded[f"{name}/in/constraint_masks_nonzero"]).long().T
    samples, length, _ = recorded[f"{name}/in/constraint_masks_shape"]
    return Allowed(sample * int(length) + position, token, int(samples * length))


def check_gradients(net, recorded, case: str, tolerance: float = 1e-4) -> None:
    ours = {name: p.grad for name, p in net.named_parameters()}
    compared = set()
    for name, norm, none in zip(*(recorded[f"{case}/grad_{k}"] for k in ("names", "norms", "none")), strict=True):
        name = from_fairseq(str(name))
        gradient = ours[name]
        compared.add(name)
        actual = 0.0 if gradient is None else gradient.norm().item()
        assert actual == pytest.approx(0.0 if none else norm, rel=tolerance, abs=1e-4), name
    assert compared == set(ours)


@pytest.mark.parametrize("case", CASES)
def test_loss_and_gradients_are_the_originals(recorded, recorded_net, recorded_batch, case):
    inputs, settings = CASES[case]
    replaced = {}
    if inputs.startswith("c") and inputs != "code" and inputs != "conf":
        replaced["allowed"] = allowed(recorded, inputs)
    if inputs == "cmask_prompt":
        replaced["target"] = torch.from_numpy(recorded["cmask_prompt/in/target"])
    if case.endswith("_conf") or inputs == "conf":
        replaced["confidence"] = torch.from_numpy(recorded["conf/in/conf"])
    batch = recorded_batch("code" if inputs == "code" else "base", **replaced)
    net = recorded_net()
    objective = SequenceLoss(TrainConfig(steps=20, **settings))

    result = objective(net, batch, updates=11)

    assert objective.size(batch, updates=11) == recorded[f"{case}/sample_size"]
    assert result.loss.item() == pytest.approx(float(recorded[f"{case}/loss"]), rel=1e-5)
    assert result.nll.item() == pytest.approx(float(recorded[f"{case}/nll_loss"]), rel=1e-5)
    if f"{case}/grad_names" in recorded.files:
        result.loss.backward()
        check_gradients(net, recorded, case)


def test_training_mode_uses_and_updates_batch_statistics(recorded, recorded_net, recorded_batch):
    net = recorded_net().train()
    result = SequenceLoss(TrainConfig(steps=20, label_smoothing=0.1))(net, recorded_batch("base"), updates=0)
    result.loss.backward()
    assert result.loss.item() == pytest.approx(float(recorded["ce_ls0.1_train_bn/loss"]), rel=1e-5)
    check_gradients(net, recorded, "ce_ls0.1_train_bn", tolerance=2e-3)
    for ours, theirs in (("running_mean", "mean"), ("running_var", "var")):
        expected = torch.from_numpy(recorded[f"ce_ls0.1_train_bn/bn1_running_{theirs}_after"])
        torch.testing.assert_close(getattr(net.encoder.resnet.bn1, ours).float(), expected, atol=1e-6, rtol=1e-5)


def test_worst_tokens_are_dropped_only_after_the_given_update(recorded, recorded_net, recorded_batch):
    objective = SequenceLoss(TrainConfig(steps=20, label_smoothing=0.1, drop_worst_ratio=0.2, drop_worst_after=10))
    batch = recorded_batch("base")
    assert objective.size(batch, updates=10) == recorded["ce_drop_worst_inactive/sample_size"]
    loss = objective(recorded_net(), batch, updates=10).loss.item()
    assert loss == pytest.approx(float(recorded["ce_drop_worst_inactive/loss"]), rel=1e-5)
