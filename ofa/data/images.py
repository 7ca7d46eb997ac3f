"""Pictures in and out: file bytes, base64 and PIL images. Resizing and tensors are in `ofa.data.transforms`."""

import base64
import binascii
import io
import os
from pathlib import Path

from PIL import Image, ImageOps

from ofa.errors import OFAError

FORMATS = ("JPEG", "PNG", "WEBP")
"""Picture formats that are read; others are refused before their decoder runs."""

MAX_PIXELS = 1 << 26
"""Largest picture that is decoded (8192 x 8192), checked from the header."""

Bytes = bytes | bytearray | memoryview

_URL_SAFE = bytes.maketrans(b"-_", b"+/")


class ImageError(OFAError):
    """A picture that cannot be used; the message is the reason."""


def decode(data: Bytes | str, draft: int | None = None) -> Image.Image:
    """Decode a picture to RGB, as the original does: transparency is dropped, EXIF orientation is not applied.

    Unlike the original, which fills the rest with gray, a file that ends early is an error.

    Args:
        data: the bytes of a JPEG, PNG or WebP file, or their base64 (standard or URL-safe alphabet).
        draft: decode a JPEG at 1/2, 1/4 or 1/8 of its size where both sides stay at least this many pixels. Much
            faster for large photographs, but the pixels after resizing differ slightly from the original's, and
            `size` is that of the reduced picture (`measure` gives the full one).

    Raises:
        ImageError: bad base64, unknown format, too many pixels, or damaged content.
    """
    image = _open(data)
    if draft is not None:
        image.draft("RGB", (draft, draft))
    return _load(image)


def measure(data: Bytes | str) -> tuple[int, int]:
    """Width and height of a picture in pixels from its header; raises ImageError like `decode`."""
    return _open(data).size


def open_image(source: str | os.PathLike | Bytes | Image.Image) -> Image.Image:
    """An RGB picture from a path, the bytes of a picture file, or a PIL image. Raises ImageError naming the path.

    What a path names is turned upright as its EXIF orientation says, so that boxes refer to what a viewer shows: phones
    store pictures turned. Bytes and PIL images are taken as they stand, as the original reads its tables.
    """
    if isinstance(source, Image.Image):
        return _load(source)
    if isinstance(source, Bytes):
        return decode(source)
    try:
        content = Path(source).read_bytes()
    except OSError as error:
        raise ImageError(f"cannot read the picture {source}: {error.strerror}") from error
    try:
        return ImageOps.exif_transpose(_load(_open_bytes(content)))
    except ImageError as error:
        raise ImageError(f"{source}: {error}") from error


def encode_base64(data: Bytes) -> str:
    """The base64 of a picture file's bytes, as it stands in a table."""
    return base64.b64encode(data).decode("ascii")


def decode_base64(data: Bytes | str) -> bytes:
    """The bytes of a picture file from their base64, standard or URL-safe. Raises ImageError."""
    try:
        return binascii.a2b_base64(data, strict_mode=True)
    except ValueError as error:
        content = data.encode("utf-8", "replace") if isinstance(data, str) else bytes(data)
        if b"-" not in content and b"_" not in content:
            raise ImageError(f"bad base64: {error}") from error
    try:
        return binascii.a2b_base64(content.translate(_URL_SAFE), strict_mode=True)
    except ValueError as error:
        raise ImageError(f"bad base64: {error}") from error


def _open(data: Bytes | str) -> Image.Image:
    is_file = isinstance(data, Bytes) and _is_picture_file(bytes(data[:12]))
    return _open_bytes(data if is_file else decode_base64(data))


def _is_picture_file(start: bytes) -> bool:
    """Whether these first twelve bytes begin a picture file; none of them is valid base64."""
    return start.startswith((b"\xff\xd8", b"\x89PNG")) or (start[:4] == b"RIFF" and start[8:] == b"WEBP")


def _open_bytes(content: Bytes) -> Image.Image:
    try:
        image = Image.open(io.BytesIO(content), formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise ImageError(f"more than {MAX_PIXELS} pixels") from error
    except (OSError, ValueError, SyntaxError) as error:
        raise ImageError(f"not a readable {', '.join(FORMATS[:-1])} or {FORMATS[-1]} picture") from error
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise ImageError(f"{width} x {height} pixels, more than {MAX_PIXELS}")
    return image


def _load(image: Image.Image) -> Image.Image:
    try:
        image.load()
        return image if image.mode == "RGB" else image.convert("RGB")
    except (OSError, ValueError, SyntaxError) as error:
        raise ImageError(f"damaged picture: {error}") from error
