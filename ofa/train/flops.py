"""How much a training step computes, from the shapes of network and batch, and what a GPU can do at most.

A multiply-add counts as two operations. Matrix products, convolutions and attention count, as in the usual "model
FLOPs utilization" (arXiv 2204.02311, appendix B); what activation checkpointing computes again does not.
"""

import re

import torch
from torch import nn

from ofa.data.batch import Batch
from ofa.model import OFAModel
from ofa.model.layers import Layer
from ofa.model.positions import PositionScores
from ofa.model.resnet import Bottleneck, ResNet

PEAKS = {
    "B200": 2250e12,
    "H200 NVL": 836e12,
    "H200": 989e12,
    "H100 PCIe": 756e12,
    "H100 NVL": 836e12,
    "H100": 989e12,
    "A100": 312e12,
    "L40S": 362e12,
    "L4": 121e12,
    "A10": 125e12,
    "RTX A6000": 155e12,
    "RTX 4090": 165e12,
}
"""Dense bfloat16 operations a second, as the makers' data sheets have them, by a part of the device's name. The first
that fits counts."""


def peak_flops(device: torch.device, precision: str) -> float | None:
    """Operations a second that a GPU can do at most in bfloat16; None for another precision or an unknown device."""
    if device.type != "cuda" or precision != "bf16":
        return None
    name = torch.cuda.get_device_name(device)
    return next((peak for known, peak in PEAKS.items() if re.search(rf"\b{known}\b", name)), None)


def step_flops(net: OFAModel, batch: Batch) -> float:
    """Operations of a forward and a backward pass over a batch.

    The backward pass costs a forward pass for the gradients of the activations and, where weights train, another for
    those of the weights. Gradients are taken to flow through every layer of the transformer, which is a little too much
    for adapters and prompts.
    """
    count = _Count()
    config, encoder, decoder = net.config, net.encoder, net.decoder
    rows, text = batch.source.shape
    target = batch.previous.shape[1]
    patches, distinct = 0, 1  # rows of position embeddings: one where all samples have the same
    if batch.images is not None:
        height, width = batch.images.shape[2:]
        _resnet(count, encoder.resnet, len(batch.images), height, width)
        patches = height // 16 * (width // 16)
        below = any(p.requires_grad for p in encoder.resnet.parameters())
        count.linear(encoder.image_projection, len(batch.images) * patches, below)
        if batch.patch_sample is not None:
            patches = batch.patch_sample if isinstance(batch.patch_sample, int) else batch.patch_sample.shape[1]
            distinct = rows
    length = patches + text
    _position_scores(count, encoder.position_scores, distinct, length, length)
    prompt = config.encoder_prompt_length
    for layer in encoder.layers:
        _layer(count, layer, rows * length)
        count.product(rows * length * (length + prompt) * config.d_model * 2)
    kinds = 1 if batch.code_mask is None else 2
    cross = decoder.cross_position_scores
    for _ in range(kinds):
        _position_scores(count, decoder.position_scores, 1, target, target)
        count.linear(cross.query, target)
        count.product(distinct * target * length * config.d_model)
    count.linear(cross.key, distinct * length)
    prompt = config.decoder_prompt_length
    for layer in decoder.layers:
        _layer(count, layer, rows * target, memory=rows * length)
        count.product(rows * target * (target + prompt + length) * config.d_model * 2)
    columns = config.vocabulary_size if net.output_ids is None else len(net.output_ids)
    count.weights(columns * config.d_model, batch.n_tokens, net.embed_tokens.weight.requires_grad)
    for prompt in (encoder.prompt, decoder.prompt):
        if prompt is not None and prompt.hidden is not None:
            count.linear(prompt.hidden, prompt.embedding.num_embeddings)
            count.linear(prompt.output, prompt.embedding.num_embeddings)
    return count.operations


class _Count:
    """Operations of forward and backward pass so far."""

    def __init__(self):
        self.operations = 0.0

    def weights(self, size: float, positions: float, trains: bool, below: bool = True) -> None:
        """Every one of `positions` is multiplied with a matrix of `size` numbers; `below` says whether what lies
        before it wants gradients."""
        self.operations += 2 * size * positions * (1 + trains + below)

    def linear(self, module: nn.Linear, positions: float, below: bool = True) -> None:
        self.weights(module.weight.numel(), positions, module.weight.requires_grad, below)

    def product(self, multiplications: float) -> None:
        """A product of two activations."""
        self.operations += 2 * multiplications * 3


def _layer(count: _Count, layer: Layer, positions: float, memory: float = 0) -> None:
    """The matrices of a layer; keys and values of the cross attention are made of `memory` positions."""
    cross = getattr(layer, "cross_attention", None)
    of_memory = () if cross is None else (cross.key, cross.value)
    for module in layer.modules():
        if isinstance(module, nn.Linear):
            count.linear(module, memory if module in of_memory else positions)


def _position_scores(count: _Count, scores: PositionScores, distinct: int, queries: int, keys: int) -> None:
    count.linear(scores.query, distinct * queries)
    count.linear(scores.key, distinct * keys)
    count.product(distinct * queries * keys * scores.key.in_features)


def _resnet(count: _Count, net: ResNet, images: int, height: int, width: int) -> None:
    """The convolutions, one after the other; each works on a picture as large as its output."""

    def convolve(conv: nn.Conv2d, stride: int, below: bool = True) -> None:
        trains = conv.weight.requires_grad
        count.weights(conv.weight.numel(), images * height * width / stride**2, trains, trains and below)

    convolve(net.conv1, 2, below=False)
    height, width = height // 4, width // 4
    for block in (block for stage in (net.layer1, net.layer2, net.layer3) for block in stage):
        assert isinstance(block, Bottleneck)
        convolve(block.conv1, 1)
        if block.downsample is not None:
            convolve(block.downsample[0], block.conv2.stride[0])
        height, width = height // block.conv2.stride[0], width // block.conv2.stride[0]
        convolve(block.conv2, 1)
        convolve(block.conv3, 1)
