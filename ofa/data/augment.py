"""RandomAugment of the original's pretraining and image classification: two random operations on the pixels."""

import random
from collections.abc import Callable, Sequence

from PIL import Image, ImageEnhance, ImageOps

_MAX_MAGNITUDE = 10
_GRAY = (128, 128, 128)

Operation = Callable[[Image.Image, float, random.Random], Image.Image]


def random_augment(
    image: Image.Image,
    rng: random.Random,
    count: int = 2,
    magnitude: float = 7,
    operations: Sequence[str] | None = None,
) -> Image.Image:
    """Draw `count` operations with replacement and apply each with probability 0.5.

    Unlike the original, which seeds its generator anew for every sample, different samples get different operations.

    Args:
        image: an RGB picture.
        rng: the only source of randomness.
        count: operations drawn.
        magnitude: strength, 0 to 10. At 7: brightness and sharpness times 1.36, shear by 0.21, shift by 7 pixels,
            rotation by 21 degrees, the last three in a random direction.
        operations: names to draw from; None draws from all of `OPERATIONS`.

    Returns:
        A picture of the same size; uncovered corners are gray (128).
    """
    level = magnitude / _MAX_MAGNITUDE
    for name in rng.choices(list(OPERATIONS) if operations is None else operations, k=count):
        if rng.random() <= 0.5:
            image = OPERATIONS[name](image, level, rng)
    return image


def _enhance(enhancer: Callable) -> Operation:
    return lambda image, level, rng: enhancer(image).enhance(level * 1.8 + 0.1)


def _affine(coefficients: Callable[[float], tuple[float, ...]]) -> Operation:
    """An operation by the coefficients a, b, c, d, e, f: pixel (x, y) is taken from (ax + by + c, dx + ey + f)."""

    def apply(image: Image.Image, level: float, rng: random.Random) -> Image.Image:
        return image.transform(
            image.size,
            Image.Transform.AFFINE,
            coefficients(_signed(level, rng)),
            Image.Resampling.BILINEAR,
            fillcolor=_GRAY,
        )

    return apply


def _rotate(image: Image.Image, level: float, rng: random.Random) -> Image.Image:
    return image.rotate(_signed(30 * level, rng), Image.Resampling.BILINEAR, fillcolor=_GRAY)


def _signed(value: float, rng: random.Random) -> float:
    return value if rng.random() < 0.5 else -value


OPERATIONS: dict[str, Operation] = {
    "identity": lambda image, level, rng: image,
    "auto_contrast": lambda image, level, rng: ImageOps.autocontrast(image),
    "equalize": lambda image, level, rng: ImageOps.equalize(image),
    "brightness": _enhance(ImageEnhance.Brightness),
    "sharpness": _enhance(ImageEnhance.Sharpness),
    "shear_x": _affine(lambda level: (1, 0.3 * level, 0, 0, 1, 0)),
    "shear_y": _affine(lambda level: (1, 0, 0, 0.3 * level, 1, 0)),
    "translate_x": _affine(lambda level: (1, 0, 10 * level, 0, 1, 0)),
    "translate_y": _affine(lambda level: (1, 0, 0, 0, 1, 10 * level)),
    "rotate": _rotate,
}
"""The ten operations that the original's scripts use."""
