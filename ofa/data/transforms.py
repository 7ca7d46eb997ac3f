"""Pictures to tensors: the transform of evaluation and finetuning. Those of pretraining are in `ofa.data.augment`."""

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from torch.nn.functional import interpolate

MEAN = STD = (0.5, 0.5, 0.5)
"""Channel mean and standard deviation of all tasks but ImageNet classification, for values in 0..1."""

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Those of the original's ImageNet script (`--imagenet-default-mean-and-std`)."""


def resize(image: Image.Image, size: int, fast: bool = False) -> torch.Tensor:
    """Stretch a picture to a square: the original's `Resize((size, size), BICUBIC)` (antialiased; aspect not kept).

    Args:
        image: an RGB picture.
        size: side in pixels.
        fast: use torch's filter in place of PIL's, about four times as fast. It is the same filter with other
            rounding: most pixels are equal, some differ by 1 or 2 levels, in noise that saturates by up to 10.

    Returns:
        uint8 tensor (3, size, size), RGB.
    """
    if fast:
        return interpolate(to_tensor(image)[None], (size, size), mode="bicubic", antialias=True)[0]
    return to_tensor(image.resize((size, size), Image.Resampling.BICUBIC))


def central_square(image: Image.Image, size: int) -> Image.Image:
    """A square picture for the VQ-GAN: the shorter side becomes `size` pixels (Lanczos, as in the original), and what
    the longer one has beyond that is cut off at both ends."""
    width, height = image.size
    short = min(width, height)
    if short != size:
        width, height = size * width // short, size * height // short
        image = image.resize((width, height), Image.Resampling.LANCZOS)
    left, top = (width - size) // 2, (height - size) // 2
    return image.crop((left, top, left + size, top + size))


def to_pictures(pixels: torch.Tensor) -> list[Image.Image]:
    """Pictures of what the VQ-GAN decodes: (B, 3, H, W) values of which -1 is black and 1 is white.

    Values are cut off and rounded down, as in the original.
    """
    levels = (pixels.float().clamp(-1, 1).add(1).div(2) * 255).to(torch.uint8)
    return [Image.fromarray(array) for array in levels.permute(0, 2, 3, 1).cpu().numpy()]


def to_tensor(image: Image.Image) -> torch.Tensor:
    """uint8 tensor (3, height, width) of an RGB picture, without rounding or scaling.

    Its memory is laid out as PIL's (channels last); stacking tensors into a batch makes the batch's own layout.
    """
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)


def normalize(images: torch.Tensor, mean: Sequence[float] = MEAN, std: Sequence[float] = STD) -> torch.Tensor:
    """(value / 255 - mean) / std per channel, bit-equal to torchvision's ToTensor and Normalize.

    Args:
        images: uint8 (..., 3, height, width).
        mean, std: one value a channel.

    Returns:
        float32 tensor of the same shape on the same device.
    """
    # Filled in on the device: a copy from the host would wait for a GPU.
    values = [torch.full((), value, dtype=torch.float32, device=images.device) for value in (*mean, *std)]
    scale = torch.stack(values).view(2, 3, 1, 1)
    return images.to(torch.float32).div_(255).sub_(scale[0]).div_(scale[1])
