"""Reads requests within the limits: bytes first, then the form, then each picture's header, then its pixels."""

import json
import secrets
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
from components.deploy.service.remote import is_address
from components.deploy.service.settings import Limits
from ofa.data.images import ImageError, decode, decode_base64, measure
from ofa.errors import OFAError
from ofa.tasks.boxes import parse_box

_BEGINNINGS = (b"\xff\xd8", b"\x89PNG", b"RIFF")
"""First bytes of the formats that are read: no decoder sees anything else."""

SEEDS = 1 << 32
"""Seeds are below it."""

_OTHER_FIELDS = 64
"""Form fields besides those that the limits count."""


@dataclass(frozen=True)
class Item:
    """One thing asked, of one picture if any."""

    operation: Operation
    image: bytes | str | None = None
    """The picture file, or its web address."""
    text: str | None = None
    box: tuple[float, ...] | None = None
    """The part of the picture that it is asked about: left, top, right, bottom in pixels of the upright picture."""
    candidates: tuple[str, ...] = ()
    seed: int | None = None
    """Of what is drawn for it; None where nothing is."""


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
        raise UnsupportedBody("send multipart/form-data, or application/json with pictures in base64")
    unknown = [name for name in values if name not in operation.fields]
    if unknown:
        raise RequestError(f"unknown field '{unknown[0]}'; {operation.name} takes {', '.join(operation.fields)}")
    candidates = values.get("candidates", ())
    return pair(
        operation,
        _several(values.get("image"), "image", needed=operation.image == "needed"),
        _several(values.get(operation.text), operation.text, needed=operation.text is not None),
        _boxes(values.get("box")) if operation.box else [None],
        _several(values.get("seed"), "seed", needed=False),
        (candidates,) if isinstance(candidates, str) else candidates,
        limits,
    )


def pair(
    operation: Operation,
    images: Sequence[Any],
    texts: Sequence[Any],
    boxes: Sequence[Any],
    seeds: Sequence[Any],
    candidates: Any,
    limits: Limits,
) -> list[Item]:
    """Items of pictures, texts, boxes and seeds: as many of each, or one for all of the others."""
    lengths = {"pictures": len(images), "texts": len(texts), "boxes": len(boxes), "seeds": len(seeds)}
    count = max(lengths.values())
    if count > limits.items:
        raise RequestError(f"{count} items in one request, more than {limits.items}")
    if set(lengths.values()) - {1, count}:
        several = [f"{number} {name}" for name, number in lengths.items() if number > 1]
        raise RequestError(f"{' and '.join(several)}: send as many of each, or one of either")
    pictures = [_picture(image, operation, limits) for image in images]
    texts = [_text(text, operation, limits) for text in texts]
    corners = [_box(box, operation) for box in boxes]
    chosen = _candidates(candidates, limits)
    return [
        Item(
            operation,
            pictures[n % len(pictures)],
            texts[n % len(texts)],
            corners[n % len(corners)],
            chosen,
            _seed(seeds[n % len(seeds)], operation),
        )
        for n in range(count)
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


def _several(value: Any, name: str | None, needed: bool) -> list[Any]:
    """One value or several, at least one; None where it may be missing and is."""
    if value is None or value == [] or value == "":
        if needed:
            raise RequestError(f"the field '{name}' is missing")
        return [None]
    return list(value) if isinstance(value, list) else [value]


def _boxes(value: Any) -> list[Any]:
    """One box or several: a list of four numbers is one."""
    if isinstance(value, list) and value and all(isinstance(part, int | float) for part in value):
        value = [value]
    return _several(value, "box", needed=True)


def _box(value: Any, operation: Operation) -> tuple[float, ...] | None:
    """Four corners: of a list, an object with x0, y0, x1, y1, or a text "x0,y0,x1,y1"."""
    if not operation.box:
        return None
    if isinstance(value, Mapping):
        value = [value.get(name) for name in ("x0", "y0", "x1", "y1")]
    text = ",".join(map(str, value)) if isinstance(value, list) else value
    try:
        return tuple(parse_box(text).tolist())
    except (OFAError, AttributeError):
        raise RequestError(f"the box {value!r} must be x0,y0,x1,y1 in pixels, x1 above x0 and y1 above y0") from None


def _seed(value: Any, operation: Operation) -> int | None:
    """The seed that is given, as a number or its digits, or one that nobody has chosen."""
    if not operation.seed:
        return None
    if value is None:
        return secrets.randbelow(SEEDS)
    digits = "" if isinstance(value, bool) else str(value)
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= len(str(SEEDS)) and int(digits) < SEEDS):
        raise RequestError(f"the seed must be a whole number from 0 to {SEEDS - 1}")
    return int(digits)


def _picture(value: Any, operation: Operation, limits: Limits) -> bytes | str | None:
    """The bytes of a picture: as they are, in base64, in a data URL, or in base64 as {"b64": ...}; or its address."""
    if value is None and operation.image != "needed":
        return None
    if operation.image == "none":
        raise RequestError(f"{operation.name} takes no image; leave it out")
    if isinstance(value, Mapping):
        value = value.get("b64")
    if isinstance(value, str) and is_address(value):
        return value
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
    longest = limits.article_characters if operation.article else limits.text_characters
    if len(value) > longest:
        raise RequestError(f"the {operation.text} has {len(value)} characters, more than {longest}")
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
