"""What the readers of all formats share: rows, records with the keys they must have, and the pictures' files."""

import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ofa.errors import OFAError

SourceRow = dict[str, str]
"""The columns of a table's row except `image`, as text; `image_path`, the file of the picture, where there is one; and
`uniq_id`, also where the table has no such column."""

_NUMBERED = re.compile(r"(\d{12})\.(?:jpe?g|png|webp)", re.IGNORECASE)


def read_json(path: str | os.PathLike) -> dict[str, Any]:
    """Read a JSON object; a file with a long list is for `json_lists`.

    Raises:
        OFAError: the file is missing, or is no JSON object.
    """
    try:
        with open(path, encoding="utf-8") as file:
            content = json.load(file)
    except OSError as error:
        raise OFAError(f"cannot read {path}: {error.strerror}; check the path or fetch the data first") from error
    except ValueError as error:
        raise OFAError(f"{path} is not a JSON file ({error}); fetch it again") from error
    if not isinstance(content, dict):
        raise OFAError(f"{path} holds a JSON {type(content).__name__}, not an object")
    return content


def values(record: Mapping[str, Any], path: str | os.PathLike, place: str, *keys: str) -> tuple[Any, ...]:
    """The values of a record's keys.

    Args:
        record: an entry of the file `path`.
        place: which one it is, for the message: "annotations[3]".

    Raises:
        OFAError: a key is missing.
    """
    try:
        return tuple(record[key] for key in keys)
    except (KeyError, TypeError, IndexError):
        missing = next((key for key in keys if not isinstance(record, Mapping) or key not in record), keys[0])
        raise OFAError(f"{path}: {place} has no '{missing}'; fetch the file again or correct the entry") from None


class ImageFolder:
    """The pictures of a data set, found by file name or by COCO's number in the name.

    A picture that is not there gets the path where it should be: whoever opens it reports the row.

    Args:
        folder: where the pictures are.

    Raises:
        OFAError: there is no such folder, or nothing is in it.
    """

    def __init__(self, folder: str | os.PathLike):
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise OFAError(f"the folder of pictures {folder} does not exist; check the path or fetch the data first")
        if next(os.scandir(self.folder), None) is None:
            raise OFAError(f"the folder of pictures {folder} is empty; fetch the data first")
        self._by_id: dict[int, str] | None = None

    def by_name(self, file_name: str) -> str:
        """Path of the picture with this name, which may hold folders."""
        return str(self.folder / file_name)

    def by_id(self, image_id: int) -> str:
        """Path of the picture whose name ends in this number: 000000000009.jpg, COCO_val2014_000000000009.jpg."""
        if self._by_id is None:
            names = [entry.name for entry in os.scandir(self.folder) if entry.is_file()]
            numbers = [(_NUMBERED.search(name), name) for name in sorted(names)]
            self._by_id = {int(number[1]): name for number, name in numbers if number}
        return self.by_name(self._by_id.get(image_id, f"{image_id:012d}.jpg"))


def read_lines(path: str | os.PathLike) -> Iterator[str]:
    """The lines of a text file in UTF-8, without their ends; only line feeds end a line.

    Raises:
        OFAError: the file is missing, or is not UTF-8.
    """
    try:
        with open(path, encoding="utf-8-sig", newline="\n") as file:
            for line in file:
                yield line.removesuffix("\n").removesuffix("\r")
    except OSError as error:
        raise OFAError(f"cannot read {path}: {error.strerror}; check the path or fetch the data first") from error
    except UnicodeDecodeError as error:
        raise OFAError(f"{path} is not UTF-8 ({error.reason}); convert it first") from error


def spaced(text: str) -> str:
    """Text as it may stand in a table's column: white space is single spaces."""
    return " ".join(str(text).split())


def one_line(text: str) -> str:
    """Text as it may stand in a column that joins several by `&&`: white space is single spaces, `&&` no separator."""
    return spaced(text).replace("&&", "&")


def box_text(x: float, y: float, width: float, height: float) -> str:
    """COCO's box as the tables have it: "x0,y0,x1,y1" in pixels, to a hundredth."""
    return ",".join(f"{edge:.2f}".rstrip("0").rstrip(".") for edge in (x, y, x + width, y + height))
