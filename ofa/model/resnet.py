"""The image stem: the first three stages of a bottleneck ResNet (arXiv 1512.03385)."""

import torch
from torch import Tensor, nn

from ofa.model.layers import drop_path


class FrozenBatchNorm2d(nn.Module):
    """Batch norm with fixed statistics, scale and shift; all four are buffers, so that nothing here trains."""

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.register_buffer("weight", torch.ones(channels))
        self.register_buffer("bias", torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def reset_parameters(self) -> None:
        """The identity."""
        for name, value in (("weight", 1.0), ("bias", 0.0), ("running_mean", 0.0), ("running_var", 1.0)):
            getattr(self, name).fill_(value)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        scale = self.weight * (self.running_var + self.eps).rsqrt()
        shift = self.bias - self.running_mean * scale
        return x * scale.to(x.dtype)[:, None, None] + shift.to(x.dtype)[:, None, None]


class Bottleneck(nn.Module):
    """1x1, 3x3 (which carries the stride) and 1x1 convolution around a shortcut; the output has 4 * width channels."""

    def __init__(self, channels: int, width: int, stride: int, norm: type[nn.Module], drop_path: float) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 1, bias=False)
        self.bn1 = norm(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride=stride, padding=1, bias=False)
        self.bn2 = norm(width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = norm(4 * width)
        self.drop_path = drop_path
        self.downsample = None
        if stride != 1 or channels != 4 * width:
            shortcut = nn.Conv2d(channels, 4 * width, 1, stride=stride, bias=False)
            self.downsample = nn.Sequential(shortcut, norm(4 * width))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, 4 * width, H / stride, W / stride)."""
        shortcut = x if self.downsample is None else self.downsample(x)
        x = self.bn1(self.conv1(x)).relu_()
        x = self.bn2(self.conv2(x)).relu_()
        x = self.bn3(self.conv3(x))
        return (shortcut + drop_path(x, self.drop_path, self.training)).relu_()


class ResNet(nn.Module):
    """Stem and three stages: stride 16, 16 * width channels.

    Args:
        blocks: number of bottleneck blocks of each stage.
        width: channels of the stem.
        norm: the normalisation layer, called with a number of channels.
        drop_path: rate of the last block of each stage; it grows linearly from 0 at the stage's first block.
    """

    def __init__(self, blocks: tuple[int, int, int], width: int, norm: type[nn.Module], drop_path: float) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 7, stride=2, padding=3, bias=False)
        self.bn1 = norm(width)
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)

        def stage(channels: int, width: int, count: int, stride: int) -> nn.Sequential:
            rates = [drop_path * i / max(count - 1, 1) for i in range(count)]
            first = Bottleneck(channels, width, stride, norm, rates[0])
            return nn.Sequential(first, *(Bottleneck(4 * width, width, 1, norm, rate) for rate in rates[1:]))

        self.layer1 = stage(width, width, blocks[0], stride=1)
        self.layer2 = stage(4 * width, 2 * width, blocks[1], stride=2)
        self.layer3 = stage(8 * width, 4 * width, blocks[2], stride=2)

    def forward(self, images: Tensor) -> Tensor:
        """Normalized images (B, 3, H, W) -> features (B, 16 * width, H / 16, W / 16).

        Everything is laid out in memory as the images are; channels last is faster.
        """
        x = self.pool(self.bn1(self.conv1(images)).relu_())
        return self.layer3(self.layer2(self.layer1(x)))
