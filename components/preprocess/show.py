"""Look at tables: print a row and draw its boxes; take a table apart into pictures and annotations again."""

import json
from itertools import count
from pathlib import Path

from PIL.Image import Image

from components.folders import check_place, make_staging, replace_folder
from components.preprocess.records import parse_box, parse_boxes
from components.preprocess.rows import table_kind
from ofa.data import TABLES, RowError, Table
from ofa.data.draw import Mark, draw
from ofa.data.images import ImageError, decode, decode_base64, measure
from ofa.data.table import Row
from ofa.errors import OFAError
from ofa.files import atomic_write
from ofa.progress import track

ANNOTATIONS = "annotations.jsonl"
_SUFFIXES = {b"\xff\xd8": ".jpg", b"\x89PNG": ".png", b"RIFF": ".webp"}
_TEXTS = ("caption", "text", "question", "answers", "hypothesis", "label")
_SMALLEST = 480


def show(table: str, row: int, out: str = "", kind: str = "") -> dict[str, str]:
    """A row of a table, and if `out` is given and the row has a picture, that picture with boxes drawn as a PNG file.

    Args:
        table: a TSV file.
        row: number of the row, from 0; negative numbers count from the end.
        out: the PNG file to write.
        kind: kind of the table; by default its file name says it (`KIND_SPLIT.tsv`).

    Returns:
        The columns by name, with a description in place of the picture.

    Raises:
        OFAError: there is no such table or row, or the row is broken.
    """
    opened = open_table(table, kind)
    if not -len(opened) <= row < len(opened):
        raise OFAError(f"{table}: no row {row}; it has {len(opened)} rows, the first is 0")
    values = opened[row]
    columns = {name: str(value) for name, value in values.items() if name != "image"}
    if "image" not in values:
        return columns
    try:
        width, height = measure(values["image"])
        if out:
            drawn = draw_boxes(kind or table_kind(table), values, _SMALLEST, "\n".join(row_texts(values)))
            with atomic_write(out, "wb") as file:
                drawn.save(file, format="PNG")
    except (ImageError, ValueError) as error:
        raise RowError(table, row, columns.get("uniq_id", ""), str(error)) from error
    size = len(values["image"]) * 3 / 4000
    return columns | {"image": f"{width} x {height} pixels, {size:.1f} kB"}


def draw_boxes(kind: str, row: Row, min_side: int = 0, caption: str = "") -> Image:
    """The picture of a row with its boxes drawn. Raises ImageError or ValueError for a bad row."""
    return draw(decode(row["image"]), _marks(kind, row), caption, min_side)


def row_texts(row: Row) -> list[str]:
    """What a row says about its picture."""
    return [f"{name}: {row[name]}" for name in _TEXTS if row.get(name)]


def unpack(table: str, out: str, kind: str = "") -> int:
    """Take a table apart: the picture files as they were, and the other columns as JSON lines that name them.

    Args:
        table: a TSV file.
        out: the folder to make: `images/` and `annotations.jsonl`, a line a row. Rows with one image id share a file.
        kind: kind of the table; by default its file name says it (`KIND_SPLIT.tsv`).

    Returns:
        The number of rows.

    Raises:
        OFAError: there is no such table, or `out` holds something else.
        RowError: a row is broken.
    """
    opened = open_table(table, kind)
    folder = Path(out)
    check_place(folder, ANNOTATIONS)
    staging = make_staging(folder)
    with atomic_write(staging / ANNOTATIONS) as file:
        for number, row in enumerate(track(opened, len(opened), f"Unpacking {Path(table).name}", "row")):
            columns = {name: value for name, value in row.items() if name != "image"}
            if "image" in row:
                try:
                    content = decode_base64(row["image"])
                except ImageError as error:
                    raise RowError(table, number, str(row.get("uniq_id", "")), str(error)) from error
                name = row.get("image_id", row.get("uniq_id", str(number)))
                columns["image"] = _write_picture(staging, str(name), content)
            file.write(json.dumps(columns, ensure_ascii=False) + "\n")
    replace_folder(staging, folder)
    return len(opened)


def open_table(path: str, kind: str = "") -> Table:
    """The table in a file, whose name says its kind unless `kind` does. Raises OFAError for an unknown kind."""
    if kind and kind not in TABLES:
        raise OFAError(f"unknown kind of table '{kind}' (known: {', '.join(TABLES)})")
    return Table(path, TABLES[kind or table_kind(path)])


def _marks(kind: str, row: Row) -> list[Mark]:
    if kind == "refcoco":
        return [Mark(parse_box(row["box"]))]
    if kind == "detection":
        return [Mark(box, name) for box, _, name in parse_boxes(row["boxes"])]
    if kind == "vision_language" and row["type"] == "visual_grounding":
        return [Mark(parse_box(row["answers"]))]
    return []


def _write_picture(folder: Path, name: str, content: bytes) -> str:
    """Write a picture's file, unless it is there, and return its path in the folder."""
    safe = "".join(character if character.isalnum() or character in "-_" else "_" for character in Path(name).stem)
    suffix = next((suffix for start, suffix in _SUFFIXES.items() if content.startswith(start)), "")
    for number in count():
        path = folder / "images" / f"{safe}{f'_{number}' if number else ''}{suffix}"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        elif path.read_bytes() != content:
            continue
        return path.relative_to(folder).as_posix()
