"""Token losses against values and gradients recorded from the original, and against plain arithmetic."""

import numpy as np
import pytest
import torch

from ofa.train.losses import policy_gradient, token_loss

PAD = 1

CASES = {
    "ce_0.1": {},
    "ce_0.1_drop0.3": {"drop_worst_ratio": 0.3},
    "ce_ignore_prefix_1": {},
    "ce_range_20_50": {},
    "ce_0.1_conf": {},
    "ce_0.1_cmask": {},
    "ce_0.1_cmask_conf": {},
    "el_1.0": {"encouraging_log_end": 1.0},
    "el_0.75": {"encouraging_log_end": 0.75},
    "el_0.5": {"encouraging_log_end": 0.5},
    "el_0.75_conf": {"encouraging_log_end": 0.75},
    "el_0.75_cmask": {"encouraging_log_end": 0.75},
    "el_0.75_drop_worst0.3": {"encouraging_log_end": 0.75, "drop_worst_ratio": 0.3},
}


def test_every_recorded_case_is_compared(golden):
    recorded = np.load(golden / "loss_explicit_logits.npz")
    assert {name.split("/")[0] for name in recorded if "/" in name} == set(CASES)


@pytest.mark.parametrize("case", CASES)
def test_loss_and_gradient_are_the_originals(golden, case):
    recorded = np.load(golden / "loss_explicit_logits.npz")
    logits = torch.tensor(recorded["logits"], requires_grad=True)
    target = torch.tensor(recorded["target_range" if "range" in case else "target"])
    if "ignore_prefix" in case:
        target[:, 0] = PAD
    positions = (target.flatten() != PAD).nonzero().squeeze(1)
    settings = dict(CASES[case], label_smoothing=0.1)
    if "cmask" in case:
        settings["allowed"] = torch.tensor(recorded["constraint_masks"]).flatten(0, 1)[positions]
    if "range" in case:
        ids = torch.arange(logits.shape[-1])
        settings["allowed"] = (ids < 4) | ((ids >= 20) & (ids < 50))
    if "conf" in case:
        settings["weight"] = torch.tensor(recorded["conf"])[positions // target.shape[1]]

    result = token_loss(logits.flatten(0, 1)[positions], target.flatten()[positions], **settings)
    result.loss.backward()

    assert result.size == recorded[f"{case}/size"]
    assert result.nll.item() == pytest.approx(float(recorded[f"{case}/nll"]), rel=1e-6)
    assert result.loss.item() == pytest.approx(float(recorded[f"{case}/loss"]), rel=1e-6)
    torch.testing.assert_close(logits.grad, torch.tensor(recorded[f"{case}/grad_logits"]), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(
    ("case", "settings"),
    [
        ("plain", {}),
        ("rdrop_alpha1", {"rdrop_alpha": 1.0}),
        ("rdrop_alpha5_drop0.3", {"rdrop_alpha": 5.0, "drop_worst_ratio": 0.3}),
    ],
)
def test_rdrop_is_the_originals(golden, case, settings):
    recorded = np.load(golden / "loss_functional.npz")
    loss, nll, size = recorded[case]
    result = token_loss(
        torch.tensor(recorded["lprobs"]), torch.tensor(recorded["target"]), label_smoothing=0.1, **settings
    )
    assert result.size == size
    assert result.nll.item() == pytest.approx(nll, rel=1e-6)
    assert result.loss.item() == pytest.approx(loss, rel=1e-6)


def test_rdrop_with_an_answer_space_is_the_divergence_within_it():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(6, 12, generator=generator)
    allowed = torch.rand(3, 12, generator=generator) < 0.5
    target = torch.tensor([2, 5, 7])
    allowed[torch.arange(3), target] = True
    logits.requires_grad_()

    settings = {"allowed": allowed.repeat(2, 1), "label_smoothing": 0.1}
    plain = token_loss(logits, target.repeat(2), **settings).loss
    result = token_loss(logits, target.repeat(2), rdrop_alpha=3.0, **settings).loss
    result.backward()

    divergence = 0.0
    for row in range(3):
        p, q = (logits[r, allowed[row]].detach().double().softmax(0) for r in (row, row + 3))
        divergence += float((p * (p / q).log()).sum() + (q * (q / p).log()).sum()) / 2
    assert result.item() - plain.item() == pytest.approx(3.0 * divergence, rel=1e-4)
    assert logits.grad.isfinite().all()


def test_a_position_with_a_single_allowed_answer_costs_nothing():
    allowed = torch.zeros(1, 5, dtype=torch.bool)
    allowed[0, 3] = True
    logits = torch.randn(1, 5, requires_grad=True)
    result = token_loss(logits, torch.tensor([3]), allowed=allowed, label_smoothing=0.1)
    result.loss.backward()
    assert result.loss.item() == 0
    assert logits.grad.abs().max() == 0


def test_policy_gradient_is_the_originals(golden):
    recorded = np.load(golden / "scst_loss.npz")
    target = torch.tensor(recorded["target"])
    positions = (target.flatten() != PAD).nonzero().squeeze(1)
    result = policy_gradient(
        torch.tensor(recorded["lprobs"]).flatten(0, 1)[positions],
        target.flatten()[positions],
        torch.tensor(recorded["reward"])[positions // target.shape[1]],
    )
    assert result.size == recorded["ntokens"]
    assert result.loss.item() == pytest.approx(float(recorded["loss"]), rel=1e-6)
