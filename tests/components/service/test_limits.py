"""Requests beyond the limits, and pictures that are none, are refused with a sentence."""

import struct
import zlib

import pytest
from PIL import Image

from tests.components.service.running import as_base64, as_file


@pytest.fixture(scope="module")
def strict(launch, models):
    limits = {"body_bytes": 30_000, "image_bytes": 20_000, "image_pixels": 40_000, "text_characters": 40, "items": 3}
    return launch(model=models, limits=limits | {"candidates": 2})


def bomb(side):
    """A small PNG file that claims to be a very large picture."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    pixels = zlib.compress(bytes(1 + side // 8) * 2000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def problem(response, status, code):
    assert response.status_code == status, response.text
    body = response.json()
    assert body["code"] == code and body["request_id"] == response.headers["X-Request-ID"]
    return body["error"]


def test_what_is_no_picture(strict, pictures):
    text = problem(strict.ask("caption", b"hello, I am a text"), 400, "bad_image")
    assert text == "cannot use the picture: it is no JPEG, PNG or WebP file"
    assert "not a readable" in problem(strict.ask("caption", b"\x89PNG and so on"), 400, "bad_image")
    assert problem(strict.ask("caption", b""), 400, "bad_image") == "cannot use the picture: the file is empty"
    damaged = pictures[0][: len(pictures[0]) // 2]
    assert "damaged picture" in problem(strict.ask("caption", damaged), 400, "bad_image")
    assert "base64" in problem(strict.post("/api/caption", json={"image": "%%%"}), 400, "bad_image")


@pytest.mark.parametrize("kind", ["GIF", "BMP", "TIFF"])
def test_other_formats(strict, kind):
    response = strict.ask("caption", as_file(Image.new("RGB", (8, 8)), kind))
    assert problem(response, 400, "bad_image") == "cannot use the picture: it is no JPEG, PNG or WebP file"


@pytest.mark.parametrize("side", [1000, 20_000, 60_000])
def test_a_decompression_bomb_is_not_decoded(strict, side):
    content = bomb(side)
    assert len(content) < 20_000
    text = problem(strict.ask("caption", content), 400, "bad_image")
    assert "pixels" in text


def test_bytes(strict):
    noise = Image.effect_noise((150, 150), 90)
    assert len(as_file(noise)) > 20_000
    assert "more than 20000" in problem(strict.ask("caption", as_file(noise)), 413, "too_large")
    assert "more than 30000" in problem(strict.post("/api/caption", data=b"x" * 31_000), 413, "too_large")
    unannounced = strict.post("/api/caption", data=(b"x" * 10_000 for _ in range(9)))
    assert "more than 30000" in problem(unannounced, 413, "too_large")
    image = as_base64(as_file(noise))[:29_000]
    assert "20000" in problem(strict.post("/api/caption", json={"image": image}), 413, "too_large")


def test_counts_and_texts(strict, pictures):
    def ask(**fields):
        return problem(strict.post("/api/answer", json={"image": as_base64(pictures[0])} | fields), 400, "bad_request")

    assert ask() == "the field 'question' is missing"
    assert ask(question=" ") == "the question must be text, and not empty"
    assert ask(question=7) == "the question must be text, and not empty"
    assert ask(question="why " * 11) == "the question has 44 characters, more than 40"
    assert ask(question=["a", "b", "c", "d"]) == "4 items in one request, more than 3"
    assert ask(question="a", candidates=["a", "b", "c"]) == "3 candidates, more than 2"
    assert ask(question="a", candidates={"a": 1}) == "candidates must be a list of texts"
    assert ask(question="a", image=5) == "a picture must be a file of a form, or base64 text"
    assert ask(question="a", images=5) == "unknown field 'images'; answer takes image, question, candidates"


def test_bodies_that_are_none(strict):
    assert "not JSON" in problem(strict.post("/v1/models/ofa:predict", data="{"), 400, "bad_request")
    assert "JSON object" in problem(strict.post("/api/caption", json=[1]), 400, "bad_request")
    deep = strict.post("/api/caption", data="[" * 20_000, headers={"Content-Type": "application/json"})
    assert "not JSON" in problem(deep, 400, "bad_request")
    assert "multipart/form-data" in problem(strict.post("/api/caption", data=b"abc"), 415, "unsupported_body")
    no_boundary = strict.post("/api/caption", data=b"abc", headers={"Content-Type": "multipart/form-data"})
    assert "cannot read the form" in problem(no_boundary, 400, "bad_request")


def test_it_lives_on(strict, pictures):
    assert strict.ask("caption", pictures[0]).status_code == 200
    assert strict.metric("ofa_items_admitted") == 0
