"""Parts of tables: each is built on its own, by any process, and kept if it is there already."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from components.code import code_hash
from components.preprocess.records import Box, parse_box, parse_boxes
from components.preprocess.statistics import Statistics
from ofa.data import TABLES, RowError, TableWriter
from ofa.data.images import ImageError, encode_base64, measure
from ofa.data.shrink import shrink
from ofa.data.sources.records import SourceRow, box_text
from ofa.files import atomic_write


@dataclass(frozen=True)
class Shard:
    """A part of a table that is to be built."""

    path: Path
    """The file to write; its description goes beside, with the suffix .json."""
    kind: str
    """Kind of table."""
    folder: Path
    """The raw data."""
    rows: Sequence[SourceRow]
    """Its rows; `image_path` is the file of the picture, relative to the raw data."""
    fingerprint: str
    """Hash of everything that the file depends on."""
    max_image_side: int = 0
    """Pixels; pictures with a longer side are made smaller. 0: none are."""


@dataclass(frozen=True)
class Built:
    """What a file that was built holds."""

    fingerprint: str
    """Hash of everything that it depends on."""
    statistics: Statistics
    """Counts over its rows."""
    rejected: tuple[tuple[int, str, str], ...]
    """Number (among the rows that were to be written), uniq-id and reason of the rows that could not be."""

    def to_dict(self, most: int | None = None) -> dict[str, Any]:
        """For JSON; `most` limits the values of each property in the statistics."""
        return {
            "fingerprint": self.fingerprint,
            "statistics": self.statistics.to_dict(most),
            "rejected": self.rejected,
        }

    def save(self, description: Path) -> None:
        """Write the JSON file `description`; what it describes counts as whole from then on."""
        with atomic_write(description) as file:
            json.dump(self.to_dict(), file, ensure_ascii=False)


def read_built(content: Mapping[str, Any] | Path, path: Path, fingerprint: str) -> Built | None:
    """What is in the file `path` by its description, if it is whole and was built from the same input.

    `content` is what `Built.to_dict` gave, or a JSON file of it, which may be missing.
    """
    try:
        content = json.loads(content.read_text(encoding="utf-8")) if isinstance(content, Path) else content
        size = path.stat().st_size
    except (FileNotFoundError, ValueError):
        return None
    if content["fingerprint"] != fingerprint or content["statistics"]["bytes"] != size:
        return None
    rejected = tuple((number, uniq_id, reason) for number, uniq_id, reason in content["rejected"])
    return Built(fingerprint, Statistics.from_dict(content["statistics"]), rejected)


def fingerprint(kind: str, rows: Iterable[SourceRow], hashes: Mapping[str, str], max_image_side: int = 0) -> str:
    """A hash of rows of a kind, of the pictures that they show (`hashes` by path) and how large they may be, and of the
    code that writes them."""
    digest = hashlib.sha256(f"{_code()} {kind} {max_image_side}".encode())
    for row in rows:
        digest.update(json.dumps(row, sort_keys=True).encode())
        digest.update(hashes.get(row.get("image_path", ""), "").encode())
    return digest.hexdigest()


@cache
def _code() -> str:
    return code_hash(__name__)


def build(shard: Shard) -> Built:
    """Write a shard, unless it is there.

    Pictures go into the table as their files are, unless they are larger than asked for. Boxes are clipped to their
    pictures. A row whose picture cannot be read, whose box has no area in the picture, or that the format cannot hold
    is left out and reported.
    """
    description = shard.path.with_suffix(".json")
    if built := read_built(description, shard.path, shard.fingerprint):
        return built
    statistics, rejected = Statistics(), []
    shown = None
    with TableWriter(shard.path, TABLES[shard.kind]) as writer:
        for number, source in enumerate(shard.rows):
            row, picture = dict(source), None
            name = row.pop("image_path", None)
            if "uniq_id" not in writer.columns:
                del row["uniq_id"]
            try:
                if name is not None:
                    picture = _picture(shard.folder / name, shard.max_image_side)
                    row = _clipped(shard.kind, row, picture) | {"image": picture.text}
                writer.write(row)
            except (ImageError, RowError, ValueError) as error:
                reason = error.reason if isinstance(error, RowError) else str(error)
                rejected.append((number, source["uniq_id"], reason))
                continue
            statistics.add_row(shard.kind, row, picture and picture.size)
            if picture is not None:
                statistics.shrunk += picture.size != picture.delivered
                if name != shown:
                    statistics.add_picture(picture.size, picture.length)
                    shown = name
    statistics.bytes = shard.path.stat().st_size
    built = Built(shard.fingerprint, statistics, tuple(rejected))
    built.save(description)
    return built


@dataclass(frozen=True)
class _Picture:
    """A picture as the table holds it."""

    text: str
    """Base64 of its file."""
    size: tuple[int, int]
    """Width and height in pixels."""
    length: int
    """Bytes of its file."""
    delivered: tuple[int, int]
    """Width and height of the raw file."""

    def fit(self, box: Box) -> Box:
        """A box in pixels of the raw file, clipped to it, in pixels of this picture."""
        x0, y0, x1, y1 = box
        width, height = self.delivered
        x, y = self.size[0] / width, self.size[1] / height
        return max(x0, 0.0) * x, max(y0, 0.0) * y, min(x1, float(width)) * x, min(y1, float(height)) * y


@lru_cache(maxsize=16)
def _picture(path: Path, max_side: int) -> _Picture:
    try:
        content = path.read_bytes()
        text = encode_base64(content)
        size = delivered = measure(text)
        if max_side and max(size) > max_side:
            content = shrink(content, max_side)
            text, size = encode_base64(content), measure(content)
        return _Picture(text, size, len(content), delivered)
    except OSError as error:
        raise ImageError(f"cannot read {path.name}: {error.strerror}") from error
    except ImageError as error:
        raise ImageError(f"{path.name}: {error}") from error


def _clipped(kind: str, row: SourceRow, picture: _Picture) -> SourceRow:
    """The row with its boxes inside the picture. Raises ValueError if nothing of them is."""
    column = {"refcoco": "box", "detection": "boxes", "vision_language": "answers"}.get(kind)
    if column is None or (kind == "vision_language" and row["type"] != "visual_grounding"):
        return row
    if kind == "detection":
        objects = [(picture.fit(box), id, name) for box, id, name in parse_boxes(row[column])]
        parts = [f"{_box_text(box)},{id},{name}" for box, id, name in objects if _has_area(box)]
        text = "&&".join(parts)
    else:
        box = picture.fit(parse_box(row[column]))
        text = _box_text(box) if _has_area(box) else ""
    if not text:
        width, height = picture.delivered
        raise ValueError(f"no part of {row[column][:80]} lies in the picture of {width} x {height} pixels")
    return row | {column: text}


def _has_area(box: Box) -> bool:
    return box[2] > box[0] and box[3] > box[1]


def _box_text(box: Box) -> str:
    x0, y0, x1, y1 = box
    return box_text(x0, y0, x1 - x0, y1 - y0)
