"""Picture files in, RGB pictures out; anything else is named."""

import base64
import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from ofa.data import images
from ofa.data.images import ImageError, decode, decode_base64, encode_base64, measure, open_image


def picture_file(format: str, size=(40, 30), mode="RGB", **options) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(buffer, format, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "format, mode", [("JPEG", "RGB"), ("JPEG", "L"), ("JPEG", "CMYK"), ("PNG", "P"), ("WEBP", "RGBA")]
)
def test_bytes_and_both_alphabets_of_base64_give_the_same_pixels(format, mode):
    data = picture_file(format, mode=mode)
    standard, url_safe = base64.b64encode(data), base64.urlsafe_b64encode(data)
    assert standard != url_safe
    expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    for form in (
        data,
        memoryview(data),
        standard,
        memoryview(standard),
        standard.decode(),
        url_safe,
        url_safe.decode(),
    ):
        image = decode(form)
        assert image.mode == "RGB" and np.array_equal(np.asarray(image), expected)
        assert measure(form) == (40, 30)


def test_base64_of_a_table_gives_the_file_back():
    data = picture_file("JPEG")
    assert decode_base64(encode_base64(data)) == data


@pytest.mark.parametrize(
    "data, reason",
    [
        (b"", "not a readable JPEG, PNG or WEBP picture"),
        (b"abc", "bad base64"),
        ("żółć", "bad base64"),
        (base64.b64encode(b"no picture"), "not a readable"),
        (base64.b64encode(picture_file("PNG"))[:-7], "bad base64"),
        (b"\xff\xd8\xff garbage", "not a readable"),
        (picture_file("GIF"), "bad base64"),
        (base64.b64encode(picture_file("GIF")), "not a readable"),
        (base64.b64encode(picture_file("BMP")), "not a readable"),
        (picture_file("JPEG")[:-300], "damaged picture"),
        (picture_file("PNG")[:-300], "damaged picture"),
        (picture_file("WEBP")[:-300], "damaged picture|not a readable"),
    ],
)
def test_what_is_no_good_picture_is_refused(data, reason):
    with pytest.raises(ImageError, match=reason):
        decode(data)


def test_a_picture_with_too_many_pixels_is_refused_from_its_header(monkeypatch):
    data = picture_file("PNG")
    damaged_later = data[:60] + bytes(len(data) - 60)
    monkeypatch.setattr(images, "MAX_PIXELS", 40 * 30 - 1)
    with pytest.raises(ImageError, match="40 x 30 pixels, more than 1199"):
        decode(damaged_later)


def test_a_decompression_bomb_is_refused_from_its_header():
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    with pytest.raises(ImageError, match="pixels"):
        decode(data)


def test_draft_halves_a_large_jpeg_and_leaves_other_formats():
    assert decode(picture_file("JPEG", (400, 300)), draft=100).size == (200, 150)
    assert decode(picture_file("JPEG", (400, 300)), draft=200).size == (400, 300)
    assert decode(picture_file("PNG", (400, 300)), draft=100).size == (400, 300)


def test_open_image_takes_a_path_bytes_or_a_picture(tmp_path):
    data = picture_file("PNG", mode="L")
    path = tmp_path / "a.png"
    path.write_bytes(data)
    opened = [open_image(source) for source in (path, str(path), data, Image.open(path))]
    assert {image.mode for image in opened} == {"RGB"}
    assert all(np.array_equal(np.asarray(image), np.asarray(opened[0])) for image in opened)


def test_open_image_names_the_path(tmp_path):
    with pytest.raises(ImageError, match=r"cannot read the picture .*none\.png: No such file"):
        open_image(tmp_path / "none.png")
    (tmp_path / "text.png").write_text("hello")
    with pytest.raises(ImageError, match=r"text\.png: not a readable"):
        open_image(tmp_path / "text.png")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_file_is_turned_upright_and_bytes_are_not(tmp_path, kind):
    """Half black, half white, stored lying on its side: what a phone held upright writes."""
    stored = Image.new("RGB", (80, 40))
    stored.paste("white", (40, 0, 80, 40))
    exif = stored.getexif()
    exif[0x0112] = 6  # the right edge of what is stored is the lower edge of what is seen
    path = tmp_path / f"phone.{kind.lower()}"
    stored.save(path, kind, exif=exif)
    seen = open_image(path)
    assert seen.size == (40, 80) and seen.getpixel((20, 5))[0] < 20 and seen.getpixel((20, 75))[0] > 235
    assert open_image(path.read_bytes()).size == (80, 40)
