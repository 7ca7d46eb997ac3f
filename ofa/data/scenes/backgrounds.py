"""What stands behind the objects: plain colors, gradients, simple landscapes and patterns, each with a name.

Every edge is smooth, nothing is brighter or busier than the artwork before it, and no value depends on how a
processor rounds a sine: curves come from Python's `math`, arrays are only added and multiplied.
"""

import math
from collections.abc import Callable
from random import Random

import numpy as np
from PIL import Image

COLORS = {
    "blue": (124, 184, 238),
    "green": (146, 208, 132),
    "yellow": (250, 222, 120),
    "orange": (250, 182, 116),
    "pink": (248, 178, 202),
    "purple": (188, 158, 226),
    "gray": (186, 188, 194),
    "white": (247, 246, 242),
}
PATTERNS = ("striped", "dotted", "checkered")

Color = tuple[int, int, int]
Painter = Callable[[int, int, Random], Image.Image]


def paint(families: tuple[str, ...], width: int, height: int, rng: Random) -> tuple[str, Image.Image]:
    """Choose a background and paint it.

    Returns:
        Its name (a color, "striped", "dotted", "checkered", "meadow", "beach", "snow", "desert", "sea" or "night")
        and its picture (RGB).
    """
    family = rng.choice(families)
    if family == "landscape":
        name = rng.choice(list(_LANDSCAPES))
        return name, _LANDSCAPES[name](width, height, rng)
    if family == "pattern":
        name = rng.choice(PATTERNS)
        return name, _pattern(name, width, height, rng)
    if family == "gradient":
        name = rng.choice(list(COLORS)[:-1])  # white has nothing to fade to
        return name, _gradient(name, width, height, rng)
    name = rng.choice(list(COLORS))
    return name, Image.new("RGB", (width, height), _tone(COLORS[name], rng))


def _tone(color: Color, rng: Random, spread: float = 7) -> Color:
    """A color near the given one."""
    shift = rng.uniform(-spread, spread)
    return tuple(min(250, max(4, round(part + shift + rng.uniform(-spread, spread) / 2))) for part in color)


def _faded(color: Color, share: float) -> Color:
    """A color, mixed with a share of near-white."""
    return tuple(round(part + (252 - part) * share) for part in color)


def _mixed(first: Color, second: Color, share: np.ndarray) -> Image.Image:
    """Two colors mixed pixel by pixel; `share` of the second, float (height, width) in 0..1."""
    height, width = share.shape
    picture = Image.new("RGB", (width, height), first)
    picture.paste(second, mask=_as_mask(share))
    return picture


def _as_mask(share: np.ndarray) -> Image.Image:
    return Image.fromarray((share * np.float32(255) + np.float32(0.5)).astype(np.uint8))


def _gradient(name: str, width: int, height: int, rng: Random) -> Image.Image:
    color = _tone(COLORS[name], rng)
    colors = [color, _faded(color, rng.uniform(0.45, 0.7))]
    rng.shuffle(colors)
    across, down = _ramp(width)[None, :], _ramp(height)[:, None]
    share = rng.choice((across, down, (across + down) / 2, (1 - across + down) / 2))
    return _mixed(*colors, np.broadcast_to(share, (height, width)))


def _pattern(name: str, width: int, height: int, rng: Random) -> Image.Image:
    color = _tone(COLORS[rng.choice(list(COLORS)[:-1])], rng)
    period = min(width, height) * rng.uniform(0.1, 0.18)
    if name == "striped":
        upright = rng.random() < 0.5
        wave = _wave(width if upright else height, period, rng)
        share = np.broadcast_to(wave[None, :] if upright else wave[:, None], (height, width))
    elif name == "checkered":
        across, down = _wave(width, 2 * period, rng)[None, :], _wave(height, 2 * period, rng)[:, None]
        share = across * (1 - down) + down * (1 - across)
    else:
        across, down = (_squared_distances(length, period, rng) for length in (width, height))
        distance = np.sqrt(across[None, :] + down[:, None])
        share = np.clip(np.float32(period * 0.27) - distance + np.float32(0.5), 0, 1)
    return _mixed(_faded(color, 0.55), color, share)


def _meadow(width: int, height: int, rng: Random) -> Image.Image:
    picture = _sky((150, 205, 250), (226, 243, 255), width, height, rng)
    _hill(picture, (164, 212, 128), rng.uniform(0.42, 0.55), 0.08, rng)
    _hill(picture, (128, 194, 102), rng.uniform(0.62, 0.75), 0.06, rng)
    return picture


def _beach(width: int, height: int, rng: Random) -> Image.Image:
    picture = _sky((166, 216, 250), (232, 245, 252), width, height, rng)
    _hill(picture, (88, 172, 214), rng.uniform(0.32, 0.42), 0.0, rng)
    _hill(picture, (244, 220, 160), rng.uniform(0.55, 0.68), 0.03, rng)
    return picture


def _snow(width: int, height: int, rng: Random) -> Image.Image:
    picture = _sky((150, 176, 206), (206, 220, 234), width, height, rng)
    _hill(picture, (226, 234, 244), rng.uniform(0.42, 0.55), 0.09, rng)
    _hill(picture, (246, 248, 250), rng.uniform(0.62, 0.75), 0.05, rng)
    return picture


def _desert(width: int, height: int, rng: Random) -> Image.Image:
    picture = _sky((252, 226, 178), (254, 240, 210), width, height, rng)
    _hill(picture, (236, 184, 118), rng.uniform(0.42, 0.55), 0.1, rng)
    _hill(picture, (222, 158, 92), rng.uniform(0.64, 0.76), 0.07, rng)
    return picture


def _sea(width: int, height: int, rng: Random) -> Image.Image:
    picture = _sky((178, 220, 248), (238, 247, 252), width, height, rng)
    _hill(picture, (98, 178, 220), rng.uniform(0.3, 0.4), 0.012, rng, waves=5)
    _hill(picture, (74, 156, 206), rng.uniform(0.52, 0.62), 0.014, rng, waves=4)
    _hill(picture, (56, 134, 188), rng.uniform(0.76, 0.86), 0.016, rng, waves=3)
    return picture


def _night(width: int, height: int, rng: Random) -> Image.Image:
    picture = _sky((38, 44, 92), (86, 84, 140), width, height, rng)
    largest = max(1, min(width, height) // 128)
    for _ in range(22):
        x, y, size = rng.randrange(width), rng.randrange(int(height * 0.6)), rng.randint(1, largest)
        brightness = rng.randint(190, 245)
        picture.paste((brightness, brightness, brightness), (x, y, x + size, y + size))
    _hill(picture, (64, 96, 92), rng.uniform(0.68, 0.8), 0.06, rng)
    return picture


_LANDSCAPES: dict[str, Painter] = {
    "meadow": _meadow,
    "beach": _beach,
    "snow": _snow,
    "desert": _desert,
    "sea": _sea,
    "night": _night,
}


def _sky(top: Color, horizon: Color, width: int, height: int, rng: Random) -> Image.Image:
    share = np.broadcast_to(_ramp(height)[:, None], (height, width))
    return _mixed(_tone(top, rng, 5), _tone(horizon, rng, 3), share)


def _hill(picture: Image.Image, color: Color, level: float, swing: float, rng: Random, waves: float = 0.8) -> None:
    """Draw ground over the picture, up to a wavy line at `level` of the height from the top."""
    width, height = picture.size
    phase, turns = rng.uniform(0, 2 * math.pi), 2 * math.pi * waves * rng.uniform(0.8, 1.2) / width
    line = [height * (level + swing * math.sin(phase + turns * x)) for x in range(width)]
    rows = np.arange(height, dtype=np.float32)[:, None]
    share = np.clip(rows - np.array(line, np.float32)[None, :] + np.float32(0.5), 0, 1)
    picture.paste(_tone(color, rng, 5), mask=_as_mask(share))


def _ramp(length: int) -> np.ndarray:
    return np.arange(length, dtype=np.float32) / np.float32(length - 1)


def _wave(length: int, period: float, rng: Random) -> np.ndarray:
    """A smooth square wave between 0 and 1, float32 (length,)."""
    phase = rng.uniform(0, period)
    ratio = 2 * math.pi / period
    wave = [period / 4 * math.sin((x + phase) * ratio) + 0.5 for x in range(length)]
    return np.clip(np.array(wave, np.float32), 0, 1)


def _squared_distances(length: int, period: float, rng: Random) -> np.ndarray:
    """Square of each position's distance to the middle of its period, float32 (length,)."""
    phase = rng.uniform(0, period)
    steps = [((x + phase) % period) - period / 2 for x in range(length)]
    return np.array([step * step for step in steps], np.float32)
