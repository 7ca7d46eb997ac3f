"""Reads requests within the limits: bytes first, then the form, then each picture's header, then its pixels."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from PIL import ImageOps
from PIL.Image import Image
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from components.deploy.service.errors import BadImage, RequestError, TooLarge, UnsupportedBody
from components.deploy.service.operations import Operation
from components.deploy.service.settings import Limits
from ofa.data.images import ImageError, decode, decode_base64, measure

_BEGINNINGS = (b"\xff\xd8", b"\x89PNG", b"RIFF")
"""First bytes of the formats that are read: no decoder sees anything else."""

_OTHER_FIELDS = 64
"""Form fields besides those that the limits count."""


@dataclass(frozen=True)
class Item:
    """One thing asked about one picture."""

    operation: Operation
    image: bytes
    """The picture file."""
    text: str | None = None
    candidates: tuple[str, ...] = ()


async def read_body(request: Request, limit: int) -> bytes:
    """The body of a request.

    Raises:
        TooLarge: it has more bytes than `limit`; the rest is not kept.
    """
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limit:
        raise TooLarge(f"the request has {int(announced)} bytes, more than {limit}")
    chunks, size = [], 0
    try:
        async for chunk in request.stream():
            chunks.append(chunk)
            size += len(chunk)
            if size > limit:
                raise TooLarge(f"the request has more than {limit} bytes")
    except ClientDisconnect:
        raise RequestError("the connection ended before the request did") from None
    return b"".join(chunks)


def parse_json(body: bytes) -> dict[str, Any]:
    """The JSON object in a body.

    Raises:
        RequestError: it is none.
    """
    try:
        values = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RequestError(f"the body is not JSON: {error}") from None
    if not isinstance(values, dict):
        raise RequestError("the body must be a JSON object")
    return values


async def read_items(request: Request, operation: Operation, limits: Limits) -> list[Item]:
    """The items of a multipart or JSON request to an operation.

    Raises:
        RequestError: it is not what the operation takes, or beyond a limit.
    """
    body = await read_body(request, limits.body_bytes)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        values = await _parse_form(request.headers, body, limits)
    elif kind == "application/json":
        values = parse_json(body)
    else:
        raise UnsupportedBody("send the picture as multipart/form-data, or in base64 as application/json")
    known = ["image", *([operation.text] if operation.text else []), *(["candidates"] if operation.limit else [])]
    unknown = [name for name in values if name not in known]
    if unknown:
        raise RequestError(f"unknown field '{unknown[0]}'; {operation.name} takes {', '.join(known)}")
    images = _several(values.get("image"), "image")
    texts = [None]
    if operation.text is not None:
        texts = _several(values.get(operation.text), operation.text)
    candidates = values.get("candidates", ())
    return pair(operation, images, texts, (candidates,) if isinstance(candidates, str) else candidates, limits)


def pair(
    operation: Operation, images: Sequence[Any], texts: Sequence[Any], candidates: Any, limits: Limits
) -> list[Item]:
    """Items of pictures and texts: as many of each, or one of either for all of the other."""
    count = max(len(images), len(texts))
    if count > limits.items:
        raise RequestError(f"{count} items in one request, more than {limits.items}")
    if {len(images), len(texts)} - {1, count}:
        raise RequestError(f"{len(images)} pictures and {len(texts)} texts: send as many of each, or one of either")
    pictures = [_picture(image, limits) for image in images]
    texts = [_text(text, operation, limits) for text in texts]
    chosen = _candidates(candidates, limits)
    return [
        Item(operation, pictures[number % len(pictures)], texts[number % len(texts)], chosen) for number in range(count)
    ]


def open_picture(data: bytes, limits: Limits) -> Image:
    """The picture in a file, upright as its EXIF orientation says: a viewer shows it so, and boxes refer to that.

    Raises:
        BadImage: another format than JPEG, PNG or WebP, more pixels than allowed, or damaged.
    """
    if not data.startswith(_BEGINNINGS):
        raise BadImage("cannot use the picture: it is no JPEG, PNG or WebP file")
    try:
        width, height = measure(data)
        if width * height > limits.image_pixels:
            raise BadImage(f"the picture has {width} x {height} pixels, more than {limits.image_pixels}")
        return ImageOps.exif_transpose(decode(data))
    except ImageError as error:
        raise BadImage(f"cannot use the picture: {error}") from None


async def _parse_form(headers: Headers, body: bytes, limits: Limits) -> dict[str, Any]:
    async def stream() -> AsyncIterator[bytes]:
        yield body

    fields = limits.items + limits.candidates + _OTHER_FIELDS
    parser = MultiPartParser(headers, stream(), max_files=limits.items, max_fields=fields)
    parser.spool_max_size = 0  # 0 is no limit: the body is in memory already, none of it goes to the disk
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise RequestError(f"cannot read the form: {error.message}") from None
    values: dict[str, list[Any]] = {}
    for name, value in form.multi_items():
        values.setdefault(name, []).append(await value.read() if isinstance(value, UploadFile) else value)
    return values


def _several(value: Any, name: str) -> list[Any]:
    """One value or several, at least one."""
    if value is None or value == [] or value == "":
        raise RequestError(f"the field '{name}' is missing")
    return list(value) if isinstance(value, list) else [value]


def _picture(value: Any, limits: Limits) -> bytes:
    """The bytes of a picture: as they are, in base64, in a data URL, or in base64 as {"b64": ...}."""
    if isinstance(value, Mapping):
        value = value.get("b64")
    if isinstance(value, str):
        text = value.partition(",")[2] if value.startswith("data:") else value
        if len(text) > limits.image_bytes * 4 // 3 + 4:
            raise TooLarge(f"a picture has more than {limits.image_bytes} bytes")
        try:
            value = decode_base64(text)
        except ImageError as error:
            raise BadImage(f"cannot use the picture: {error}") from None
    if not isinstance(value, bytes):
        raise RequestError("a picture must be a file of a form, or base64 text")
    if len(value) > limits.image_bytes:
        raise TooLarge(f"a picture has {len(value)} bytes, more than {limits.image_bytes}")
    if not value:
        raise BadImage("cannot use the picture: the file is empty")
    return value


def _text(value: Any, operation: Operation, limits: Limits) -> str | None:
    if operation.text is None:
        return None
    if not isinstance(value, str) or not value.strip():
        raise RequestError(f"the {operation.text} must be text, and not empty")
    if len(value) > limits.text_characters:
        raise RequestError(f"the {operation.text} has {len(value)} characters, more than {limits.text_characters}")
    return value.strip()


def _candidates(values: Any, limits: Limits) -> tuple[str, ...]:
    if not isinstance(values, list | tuple) or not all(isinstance(value, str) and value.strip() for value in values):
        raise RequestError("candidates must be a list of texts")
    if len(values) > limits.candidates:
        raise RequestError(f"{len(values)} candidates, more than {limits.candidates}")
    for value in values:
        if len(value) > limits.text_characters:
            raise RequestError(f"a candidate has {len(value)} characters, more than {limits.text_characters}")
    return tuple(dict.fromkeys(value.strip() for value in values))
