"""Text recognition: a list of pictures with the text that each shows, in English or Chinese."""

import os
from collections.abc import Iterator
from pathlib import Path

from ofa.data.sources.records import ImageFolder, SourceRow, read_lines, spaced
from ofa.errors import OFAError


def rows(lines: str | os.PathLike, images_folder: str | os.PathLike) -> Iterator[SourceRow]:
    """Rows of the ocr table, one a line of a list.

    Args:
        lines: the list. A line is the picture's path, a tab and the text, or, as the ICDAR challenges write them,
            `word_1.png, "text"` with quotes in the text behind backslashes.
        images_folder: what the paths are relative to.

    Raises:
        OFAError: a file or folder is missing, or a line has neither form.
    """
    images = ImageFolder(images_folder)
    for number, line in enumerate(read_lines(lines), 1):
        if not line.strip():
            continue
        name, tab, text = line.partition("\t")
        if not tab:
            name, comma, text = line.partition(", ")
            if not comma or len(text) < 2 or text[0] != '"' or text[-1] != '"':
                raise OFAError(f'{lines}, line {number}: must be PICTURE, a tab and the text, or PICTURE, "TEXT"')
            text = text[1:-1].replace('\\"', '"').replace("\\\\", "\\")
        yield {
            "uniq_id": Path(name).with_suffix("").as_posix(),
            "text": spaced(text),
            "image_path": images.by_name(name.strip()),
        }
