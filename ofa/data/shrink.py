"""Smaller files of pictures that are too large for a table, where every row holds its picture."""

import io

from PIL import Image

from ofa.data.images import FORMATS, decode, measure

QUALITY = 95
"""Of JPEG and WebP files, 0 to 100."""


def shrink(content: bytes, max_side: int) -> bytes:
    """A picture file whose sides are at most `max_side` pixels long: `content` itself, or a new file in its format.

    The new file has the pixels that `decode` reads, resized (Lanczos) with their proportions kept; as there, EXIF
    orientation is not applied and transparency is dropped, so that boxes scale with the picture.

    Raises:
        ImageError: the file is no picture, or damaged.
    """
    size = measure(content)
    if max(size) <= max_side:
        return content
    width, height = (max(1, round(side * max_side / max(size))) for side in size)
    file = io.BytesIO()
    smaller = decode(content).resize((width, height), Image.Resampling.LANCZOS)
    smaller.save(file, Image.open(io.BytesIO(content), formats=FORMATS).format, quality=QUALITY)
    return file.getvalue()
