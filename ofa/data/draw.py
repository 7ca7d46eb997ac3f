"""Draw boxes with labels, and a caption below, on a picture: for reports and for looking at tables."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from PIL import Image, ImageColor, ImageDraw, ImageFont

COLORS = ("#e6194b", "#3cb44b", "#4363d8", "#f58231", "#911eb4", "#008080", "#9a6324", "#808000", "#f032e6", "#000075")
"""Colors of boxes without one of their own, in turn; white text is readable on all."""

_WIDE_FONTS = (
    "NotoSansCJK-Regular.ttc",
    "NotoSansCJKsc-Regular.otf",
    "NotoSansSC-Regular.otf",
    "wqy-microhei.ttc",
    "wqy-zenhei.ttc",
    "DroidSansFallbackFull.ttf",
    "PingFang.ttc",
    "msyh.ttc",
)


@dataclass(frozen=True)
class Mark:
    """A box to draw."""

    box: Sequence[float]
    """x0, y0, x1, y1 in pixels of the picture."""
    label: str = ""
    """Text at its upper edge."""
    color: str | None = None
    """A color name or #rrggbb; None takes the next of `COLORS`."""


def draw(
    image: Image.Image, marks: Sequence[Mark] = (), caption: str = "", min_side: int = 0, font_size: int = 0
) -> Image.Image:
    """A copy of the picture with the marks drawn and the caption on a white strip below.

    Text beyond Latin, Greek and Cyrillic needs a font of the system, such as Noto Sans CJK (Debian: fonts-noto-cjk);
    without one its characters show as empty boxes.

    Args:
        image: any PIL picture; it is not changed.
        marks: boxes; parts outside the picture are not visible, corners may come in any order.
        caption: wrapped to the picture's width; line breaks are kept.
        min_side: enlarge the picture until its short side has this many pixels, so that labels stay readable.
        font_size: pixels; 0 takes what suits the picture.
    """
    factor = max(1.0, min_side / min(image.size))
    size = (round(image.width * factor), round(image.height * factor))
    canvas = image.convert("RGB").resize(size, Image.Resampling.NEAREST if factor >= 2 else Image.Resampling.BICUBIC)
    font_size = font_size or max(11, min(canvas.size) // 28)
    font = _font(font_size, caption + "".join(mark.label for mark in marks))
    pen = ImageDraw.Draw(canvas)
    for number, mark in enumerate(marks):
        color = ImageColor.getrgb(mark.color or COLORS[number % len(COLORS)])
        _draw_box(pen, [value * factor for value in mark.box], color, max(2, font_size // 6))
    # Labels last, so that no box crosses a text.
    for number, mark in enumerate(marks):
        color = ImageColor.getrgb(mark.color or COLORS[number % len(COLORS)])
        if mark.label:
            _draw_label(pen, [value * factor for value in mark.box], mark.label, color, font, canvas.size)
    return _with_caption(canvas, caption, font) if caption else canvas


def _font(size: int, text: str) -> ImageFont.FreeTypeFont:
    """Pillow's own font, or for text that it lacks the first font of the system that has it."""
    name = _wide_font() if any(character >= "\u2e80" for character in text) else None
    return ImageFont.truetype(name, size) if name else ImageFont.load_default(size)


@cache
def _wide_font() -> str | None:
    for name in _WIDE_FONTS:
        try:
            return ImageFont.truetype(name).path
        except OSError:
            continue
    return None


def _draw_box(pen: ImageDraw.ImageDraw, box: Sequence[float], color: tuple[int, ...], width: int) -> None:
    x0, x1 = sorted((box[0], box[2]))
    y0, y1 = sorted((box[1], box[3]))
    pen.rectangle((x0, y0, max(x0, x1 - 1), max(y0, y1 - 1)), outline=color, width=width)
    # A white line inside shows the box on a ground of its own color, too.
    inner = (x0 + width, y0 + width, x1 - 1 - width, y1 - 1 - width)
    if inner[0] < inner[2] and inner[1] < inner[3]:
        pen.rectangle(inner, outline="white", width=max(1, width // 2))


def _draw_label(
    pen: ImageDraw.ImageDraw,
    box: Sequence[float],
    label: str,
    color: tuple[int, ...],
    font: ImageFont.FreeTypeFont,
    size: tuple[int, int],
) -> None:
    """On the upper edge of the box, above it where there is room, moved inside the picture."""
    left, top, right, bottom = pen.textbbox((0, 0), label, font=font)
    width, height = right - left + 6, bottom - top + 6
    x = min(max(0, min(box[0], box[2])), max(0, size[0] - width))
    y = min(box[1], box[3])
    y = min(max(0, y - height if y >= height else y), size[1] - height)
    pen.rectangle((x, y, x + width, y + height), fill=color)
    pen.text((x + 3 - left, y + 3 - top), label, font=font, fill="white")


def _with_caption(image: Image.Image, caption: str, font: ImageFont.FreeTypeFont) -> Image.Image:
    margin = 6
    lines = [part for line in caption.split("\n") for part in _wrap(line, font, image.width - 2 * margin)]
    line_height = sum(font.getmetrics()) + 2
    canvas = Image.new("RGB", (image.width, image.height + line_height * len(lines) + 2 * margin), "white")
    canvas.paste(image)
    pen = ImageDraw.Draw(canvas)
    for number, line in enumerate(lines):
        pen.text((margin, image.height + margin + number * line_height), line, font=font, fill="black")
    return canvas


def _wrap(line: str, font: ImageFont.FreeTypeFont, width: int) -> list[str]:
    """Lines that fit the width, broken at spaces, or inside a word that is longer than a line (Chinese has none)."""
    lines = [""]
    for word in line.split(" "):
        for number, piece in enumerate([word] if font.getlength(word) <= width else word):
            separator = " " if number == 0 and lines[-1] else ""
            if lines[-1] and font.getlength(lines[-1] + separator + piece) > width:
                lines.append(piece)
            else:
                lines[-1] += separator + piece
    return lines
