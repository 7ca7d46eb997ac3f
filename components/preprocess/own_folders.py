"""Data sets that lie in a folder of their own among the raw data: the folder's name says which it is.

Each finder gives the tables that the files of one data set allow, under their published names. The names of splits are
ours: `dev` and `valid` are `val`.
"""

import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from components.preprocess.raw_table import TRAIN, RawTable
from ofa.data.sources import gigaword, glue, image_classes, ocr, snli_ve
from ofa.data.sources.records import read_lines
from ofa.errors import OFAError

SPLITS = {"train": TRAIN, "dev": "val", "val": "val", "valid": "val", "validation": "val", "test": "test"}
_SPLIT = rf"(?P<split>{'|'.join(SPLITS)})(?P<language>_zh)?"
_FLICKR30K = ("flickr30k_images", "flickr30k-images", "images")
_IMAGENET = "ILSVRC/Data/CLS-LOC"
_CLASS_NAMES = ("LOC_synset_mapping.txt", "synset_words.txt")
_SOLUTION = "LOC_val_solution.csv"
_GLUE_SPLITS = {
    "msr_paraphrase_train": TRAIN,
    "msr_paraphrase_test": "test",
    "dev_matched": "val",
    "dev_mismatched": "val_mismatched",
    "test_matched": "test",
    "test_mismatched": "test_mismatched",
} | {name: SPLITS[name] for name in ("train", "dev", "test")}
"""Of two files for one split the later one counts."""
_GIGAWORD_PAIRS = {".src": ".tgt", ".article.txt": ".title.txt", ".article.filter.txt": ".title.filter.txt"}
_GIGAWORD_TEST = ("input.txt", "task1_ref0.txt")


def find(folder: Path) -> Iterator[RawTable]:
    """The tables of the data sets that have a folder of their own in `folder`.

    Raises:
        OFAError: such a folder holds no file of a known name.
    """
    for name, finder in FINDERS.items():
        place = folder / name
        if place.is_dir():
            tables = list(finder(place))
            if not tables:
                raise OFAError(f"{place}: {_EXPECTED[name]}; see docs/data.md")
            yield from tables


def class_names(folder: Path) -> list[str]:
    """Names of the classes of the training split of image classification, in the order of their numbers."""
    place = folder / "image_classify"
    return list(dict.fromkeys(_classes(place).values())) if place.is_dir() else []


def _snli_ve(folder: Path) -> Iterator[RawTable]:
    for path in sorted(folder.rglob("*.jsonl")):
        if match := re.fullmatch(rf"snli_ve_{_SPLIT}\.jsonl", path.name):
            pictures = _first(folder, _FLICKR30K) or folder / _FLICKR30K[0]
            yield _table("snli_ve", match, partial(snli_ve.rows, path, pictures))


def _image_classify(folder: Path) -> Iterator[RawTable]:
    names = _classes(folder)
    for path in sorted(_split_folders(folder)):
        split, solution = SPLITS[path.name], folder / _SOLUTION
        if _has_folders(path):
            rows = partial(image_classes.folder_rows, path, names)
        elif split == "val" and solution.is_file():
            rows = partial(image_classes.listed_rows, path, solution, names)
        else:  # pictures without labels
            continue
        yield RawTable(f"image_classify_{split}", "image_classify", "image_classify", split, rows)


def _ocr(folder: Path) -> Iterator[RawTable]:
    for path in sorted([*folder.glob("*.txt"), *folder.glob("*.tsv"), *folder.glob("*/gt.txt")]):
        name = path.parent.name if path.name == "gt.txt" else path.stem
        if match := re.fullmatch(_SPLIT, name):
            yield _table("ocr", match, partial(ocr.rows, path, _pictures_of(path)))


def _glue(folder: Path) -> Iterator[RawTable]:
    for task, known in glue.FORMATS.items():
        files = {}
        for name, split in _GLUE_SPLITS.items():
            suffix = ".txt" if name.startswith("msr") else ".tsv"
            if (path := folder / known.folder / f"{name}{suffix}").is_file():
                files[split] = path
        for split, path in files.items():
            yield RawTable(f"{task}_{split}", task, task, split, partial(glue.rows, path, task))


def _gigaword(folder: Path) -> Iterator[RawTable]:
    for path in sorted(folder.rglob("*")):
        if path.name == _GIGAWORD_TEST[0]:
            rows = partial(gigaword.rows, path, path.with_name(_GIGAWORD_TEST[1]))
            yield RawTable("gigaword_test", "gigaword", "gigaword", "test", rows)
        stem, _, suffix = path.name.partition(".")
        if f".{suffix}" in _GIGAWORD_PAIRS and (match := re.fullmatch(_SPLIT, stem)):
            rows = partial(gigaword.rows, path, path.with_name(stem + _GIGAWORD_PAIRS[f".{suffix}"]))
            yield _table("gigaword", match, rows)


FINDERS: dict[str, Callable[[Path], Iterator[RawTable]]] = {
    "snli_ve": _snli_ve,
    "image_classify": _image_classify,
    "ocr": _ocr,
    "glue": _glue,
    "gigaword": _gigaword,
}
"""By the name of the folder."""

_EXPECTED = {
    "snli_ve": "no snli_ve_train.jsonl, snli_ve_dev.jsonl or snli_ve_test.jsonl in it",
    "image_classify": "no train/CLASS/PICTURE in it, nor ImageNet's ILSVRC folder",
    "ocr": "no list train.txt (PICTURE, a tab, TEXT) or train/gt.txt in it",
    "glue": f"no folder {', '.join(known.folder for known in glue.FORMATS.values())} with train.tsv in it",
    "gigaword": "no train.src and train.tgt, or train.article.txt and train.title.txt, in it",
}


def _table(kind: str, match: re.Match, rows: Callable) -> RawTable:
    split = SPLITS[match["split"]]
    return RawTable(f"{kind}{match['language'] or ''}_{split}", kind, kind, split, rows)


def _first(folder: Path, names: tuple[str, ...]) -> Path | None:
    return next((folder / name for name in names if (folder / name).exists()), None)


def _split_folders(folder: Path) -> list[Path]:
    place = folder / _IMAGENET if (folder / _IMAGENET).is_dir() else folder
    return [place / name for name in SPLITS if (place / name).is_dir()]


def _classes(folder: Path) -> dict[str, str]:
    """Name of each class by its folder; the training split says which there are."""
    splits = [path for path in _split_folders(folder) if _has_folders(path)]
    return image_classes.class_names(splits[0], _first(folder, _CLASS_NAMES)) if splits else {}


def _has_folders(folder: Path) -> bool:
    return any(path.is_dir() for path in folder.iterdir())


def _pictures_of(lines: Path) -> Path:
    """What the paths in a list of texts are relative to: the list's folder, `images` or the split's name in it."""
    first = next((line for line in read_lines(lines) if line.strip()), "")
    name = first.partition("\t")[0] if "\t" in first else first.partition(", ")[0]
    places = [lines.parent, lines.parent / "images", lines.parent / lines.stem]
    return next((place for place in places if (place / name).is_file()), places[0])
