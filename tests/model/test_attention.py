"""The attention written out for training on a CPU is scaled dot product attention with a bias."""

import torch
import torch.nn.functional as F

from ofa.model.attention import biased_attention


def test_values_and_gradients_are_those_of_scaled_dot_product_attention():
    torch.manual_seed(0)
    inputs = [torch.randn(2, 3, length, 8, requires_grad=True) for length in (5, 7, 7)]
    bias = torch.randn(1, 3, 5, 7)
    bias[..., 6] = float("-inf")
    bias.requires_grad_()
    ours = biased_attention(*inputs, bias, scale=0.3, dropout=0.0)
    theirs = F.scaled_dot_product_attention(*inputs, attn_mask=bias, scale=0.3)
    torch.testing.assert_close(ours, theirs)
    weight = torch.randn_like(ours)
    found = torch.autograd.grad((ours * weight).sum(), [*inputs, bias])
    expected = torch.autograd.grad((theirs * weight).sum(), [*inputs, bias])
    torch.testing.assert_close(found, expected)
