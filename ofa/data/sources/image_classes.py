"""Image classification: a folder of pictures a class, or ImageNet as it is published."""

import csv
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from ofa.data.sources.records import ImageFolder, SourceRow, read_lines, spaced
from ofa.errors import OFAError

PICTURES = (".jpg", ".jpeg", ".png", ".webp")
"""Endings of the files that are read, in any case."""


def class_names(folder: str | os.PathLike, names_file: str | os.PathLike | None = None) -> dict[str, str]:
    """Name of each class by its folder, in the order of the folders' names.

    Args:
        folder: the training split: a folder a class.
        names_file: lines `n01440764 tench, Tinca tinca` (`LOC_synset_mapping.txt`, `synset_words.txt`): a folder and
            its names, of which the first counts; of two classes with one name the second gets its folder's name
            besides. Without the file, or where it does not list a class, the folder's name with spaces for underscores.

    Raises:
        OFAError: there is no such folder, or it holds no folders.
    """
    classes = sorted(entry.name for entry in os.scandir(ImageFolder(folder).folder) if entry.is_dir())
    if not classes:
        raise OFAError(f"{folder}: no folders of classes in it; put each class's pictures into a folder of its name")
    listed = {}
    if names_file is not None:
        for line in read_lines(names_file):
            name, _, synonyms = line.partition(" ")
            listed[name] = spaced(synonyms.partition(",")[0])
    names: dict[str, str] = {}
    for name in classes:
        label = listed.get(name) or spaced(name.replace("_", " "))
        if label in names.values():
            # As ImageNet's two cranes, a bird and a machine, which an answer could not tell apart.
            label = f"{label} ({name})"
        names[name] = label
    return names


def folder_rows(folder: str | os.PathLike, names: Mapping[str, str]) -> Iterator[SourceRow]:
    """Rows of the image_classify table, one a picture, from a folder a class.

    Args:
        folder: one split.
        names: see `class_names`; a class's number is its place there.

    Raises:
        OFAError: there is no such folder, or a class that `names` does not have.
    """
    numbers = {name: number for number, name in enumerate(names)}
    for entry in sorted(os.scandir(ImageFolder(folder).folder), key=lambda entry: entry.name):
        if not entry.is_dir():
            continue
        if entry.name not in names:
            raise OFAError(f"{entry.path}: class '{entry.name}' is not in the training split")
        for picture in sorted(Path(entry.path).iterdir()):
            if picture.suffix.lower() in PICTURES:
                yield _row(f"{entry.name}/{picture.name}", numbers[entry.name], names[entry.name], picture)


def listed_rows(
    folder: str | os.PathLike, solution: str | os.PathLike, names: Mapping[str, str]
) -> Iterator[SourceRow]:
    """Rows of the image_classify table for ImageNet's validation split, whose pictures lie in one folder.

    Args:
        folder: the pictures.
        solution: `LOC_val_solution.csv`: the picture's name and `class x0 y0 x1 y1 ...`.
        names: see `class_names`.

    Raises:
        OFAError: a file, folder or column is missing, or there is a class that `names` does not have.
    """
    images = ImageFolder(folder)
    numbers = {name: number for number, name in enumerate(names)}
    for line, record in enumerate(csv.DictReader(read_lines(solution)), 2):
        try:
            picture, name = record["ImageId"], record["PredictionString"].split()[0]
        except (KeyError, AttributeError, IndexError):
            raise OFAError(f"{solution}, line {line}: no ImageId or PredictionString; fetch the file again") from None
        if name not in names:
            raise OFAError(f"{solution}, line {line}: class '{name}' is not in the training split")
        yield _row(picture, numbers[name], names[name], Path(images.by_name(f"{picture}.JPEG")))


def _row(uniq_id: str, number: int, name: str, picture: Path) -> SourceRow:
    return {"uniq_id": uniq_id, "label_id": str(number), "label": name, "image_path": str(picture)}
