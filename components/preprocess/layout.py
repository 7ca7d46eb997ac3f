"""Which tables a folder of raw data can give: finds COCO, RefCOCO and VQA files by their names.

Data sets in a folder of their own are found by `own_folders`.

The layout is that of `ofa.data.sources`; files may keep the names under which they are published
(`captions_train2017.json`, `v2_OpenEnded_mscoco_train2014_questions.json`, pictures in `train2014/` or
`images/train2014/`). The year of a split is dropped: `train2017` is `train`.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import chain
from pathlib import Path

from components.preprocess import own_folders
from components.preprocess.raw_table import TRAIN, RawTable, Remembered
from ofa.data.sources import coco, pretraining, refcoco, vqa
from ofa.data.sources.plain_pickle import load_plain_pickle
from ofa.data.sources.records import SourceRow, read_json
from ofa.errors import OFAError

MEASURED = ("caption", "refcoco", "vqa")
"""Kinds of tables that tasks are trained on and measured with."""
PRETRAINING = ("vision_language", "detection", "text")
"""Kinds of tables for pretraining."""

_SPLIT = r"(?P<split>[A-Za-z_-]+?)(?P<year>\d{4})?(?P<language>_zh)?"
_CAPTIONS = (rf"annotations/captions_{_SPLIT}\.json",)
_INSTANCES = (rf"annotations/instances_{_SPLIT}\.json",)
_QUESTIONS = (
    rf"vqa/questions_{_SPLIT}\.json",
    rf"(?:vqa|annotations)/v2_OpenEnded_mscoco_{_SPLIT}_questions\.json",
)
_REFS = r"(?P<folder>refcoco|refcoco\+|refcocog)/refs\((?P<edition>ofa|unc|umd|google)(?P<language>_zh)?\)\.p"
_KARPATHY = ("dataset_coco.json", "annotations/dataset_coco.json")
_DATASETS = {"refcoco": "refcoco", "refcoco+": "refcocoplus", "refcocog": "refcocog"}


@dataclass(frozen=True)
class _File:
    """An annotation file of one split."""

    path: Path
    split: str
    year: str
    language: str
    """Suffix of the language: "" for English, "_zh" for Chinese."""


class RawData:
    """The tables that the files in a folder can give.

    Args:
        folder: raw data as `fetch` makes them.
        dataset: name of the data for the pretraining tables.
    """

    def __init__(self, folder: str | Path, dataset: str = "coco"):
        self.folder, self.dataset = Path(folder), dataset
        files = chain(self.folder.glob("*.*"), self.folder.glob("*/*.*"))
        self._names = sorted(path.relative_to(self.folder).as_posix() for path in files)
        self._captions = self._find(_CAPTIONS)
        self._instances = self._find(_INSTANCES)
        self._questions = self._find(_QUESTIONS)

    @cached_property
    def tables(self) -> dict[str, RawTable]:
        """All tables by name, those of the split `train` first.

        Raises:
            OFAError: no file has a known name, or the pictures of a split are missing.
        """
        found = [
            replace(table, rows=Remembered(table.rows)) for table in (*self._caption(), *self._refcoco(), *self._vqa())
        ]
        found += [*self._vision_language(found), *self._detection(), *self._text(found)]
        found += own_folders.find(self.folder)
        if not found:
            raise OFAError(
                f"{self.folder}: no annotations of a known name (annotations/captions_*.json, refcoco/refs(*).p, "
                f"vqa/questions_*.json), and no folder {', '.join(own_folders.FINDERS)}; a data set that is not COCO's "
                "needs its name: `ofa data fetch --source snli_ve=FOLDER`"
            )
        return {table.name: table for table in sorted(found, key=lambda table: table.split != TRAIN)}

    @cached_property
    def annotations(self) -> dict[str, Path]:
        """Annotation files of VQA's training split, by the language's suffix."""
        return {language: path for language, (path, *_) in self.annotations_of([TRAIN]).items()}

    def annotations_of(self, splits: Sequence[str]) -> dict[str, list[Path]]:
        """Annotation files of VQA's questions of some splits, by the language's suffix."""
        found: dict[str, list[Path]] = {}
        for file in self._questions:
            path = _annotations(file)
            if file.split in splits and path is not None:
                found.setdefault(file.language, []).append(path)
        return found

    @cached_property
    def object_names(self) -> list[str]:
        """Names of the kinds of objects in the pictures of the training split."""
        names = {name for kinds in self._objects(TRAIN).values() for name in kinds}
        return sorted(names)

    @cached_property
    def _measuring(self) -> dict[str, set[str]]:
        """Paths of the pictures that tasks are measured with, by split."""
        pictures: dict[str, set[str]] = {}
        for table in self.tables.values():
            if table.kind in MEASURED and table.split != TRAIN:
                pictures.setdefault(table.split, set()).update(row["image_path"] for row in table.rows())
        return pictures

    def count(self) -> dict[str, dict[str, int]]:
        """By split: how many pictures are shown, and the rows of each table that tasks use ("caption", "vqa_zh")."""
        counts: dict[str, dict[str, int]] = {}
        pictures: dict[str, set[str]] = {}
        for table in self.tables.values():
            if table.kind in ("vision_language", "text"):  # made of the others
                continue
            shown, rows = pictures.setdefault(table.split, set()), 0
            for row in table.rows():
                rows += 1
                if "image_path" in row:
                    shown.add(row["image_path"])
            counts.setdefault(table.split, {})[table.name.replace(f"_{table.split}", "", 1)] = rows
        return {split: {"pictures": len(pictures[split]), **tables} for split, tables in counts.items()}

    @cached_property
    def class_names(self) -> list[str]:
        """Names of the classes of image classification, in the order of their numbers."""
        return own_folders.class_names(self.folder)

    def _find(self, patterns: Sequence[str]) -> list[_File]:
        found = []
        for name in self._names:
            for pattern in patterns:
                if (match := re.fullmatch(pattern, name)) and not _is_empty(self.folder / name):
                    language = match["language"] or ""
                    found.append(_File(self.folder / name, match["split"], match["year"] or "", language))
        return found

    def _pictures(self, *names: str) -> Path:
        """The first folder of pictures that exists."""
        candidates = [self.folder / part / name for name in names for part in ("images", ".")]
        for candidate in candidates:
            if candidate.is_dir():
                return candidate
        raise OFAError(f"{self.folder}: no folder of pictures; looked for {', '.join(map(str, candidates))}")

    def _split_pictures(self, file: _File) -> Path:
        # The questions of test-dev2015 are about pictures of test2015.
        return self._pictures(file.split + file.year, file.split, file.split.partition("-")[0] + file.year)

    def _objects(self, split: str) -> dict[str, list[str]]:
        files = [file.path for file in self._instances if file.split == split]
        return coco.object_names(files[0]) if files else {}

    def _caption(self) -> Iterator[RawTable]:
        karpathy = [name for name in _KARPATHY if name in self._names]
        if karpathy:
            source, folder = self.folder / karpathy[0], self._pictures("val2014").parent
            for split in ("train", "val", "test"):
                rows = partial(coco.caption_rows, source, folder, split)
                yield RawTable(f"caption_{split}", "caption", "caption", split, rows)
            return
        for file in self._captions:
            rows = partial(coco.caption_rows, file.path, self._split_pictures(file), file.split)
            yield RawTable(f"caption{file.language}_{file.split}", "caption", "caption", file.split, rows)

    def _refcoco(self) -> Iterator[RawTable]:
        editions = {}
        for name in self._names:
            if match := re.fullmatch(_REFS, name):
                editions.setdefault((match["folder"], match["language"] or ""), []).append(name)
        for (folder, language), names in editions.items():
            # Of several editions of one data set (unc and google), the one that the original uses comes last.
            refs, instances = self.folder / names[-1], self.folder / folder / "instances.json"
            pictures = self._pictures("train2014", ".")
            for split in dict.fromkeys(record["split"] for record in load_plain_pickle(refs)):
                rows = partial(refcoco.rows, refs, instances, pictures, split)
                dataset = _DATASETS[folder]
                yield RawTable(f"{dataset}{language}_{split}", "refcoco", dataset, split, rows)

    def _vqa(self) -> Iterator[RawTable]:
        for file in self._questions:
            annotations = _annotations(file)
            rows = partial(vqa.rows, file.path, annotations, self._split_pictures(file))
            yield RawTable(f"vqa{file.language}_{file.split}", "vqa", "vqa", file.split, rows, annotations)

    def _detection(self) -> Iterator[RawTable]:
        for file in self._instances:
            rows = partial(coco.detection_rows, file.path, self._split_pictures(file))
            if file.split == TRAIN:
                rows = partial(self._without_held_out, rows, file.split)
            yield RawTable(f"detection_{file.split}", "detection", "detection", file.split, rows)

    def _vision_language(self, tables: Sequence[RawTable]) -> Iterator[RawTable]:
        answered = [table for table in tables if table.kind != "vqa" or table.annotations is not None]
        for split, language, parts in _by_split(answered, dict.fromkeys(table.split for table in answered)):
            rows = partial(self._without_held_out, partial(self._pairs, parts, split), split)
            yield RawTable(f"vision_language{language}_{split}", "vision_language", "vision_language", split, rows)

    def _text(self, tables: Sequence[RawTable]) -> Iterator[RawTable]:
        for split, language, parts in _by_split(tables, (TRAIN, "val")):
            # The facts about kinds of objects are in English.
            instances = [file.path for file in self._instances if file.split == split == TRAIN and not language]
            rows = partial(self._texts, parts, instances)
            yield RawTable(f"text{language}_{split}", "text", "text", split, rows)

    def _pairs(self, parts: Sequence[RawTable], split: str) -> Iterator[SourceRow]:
        for part in parts:
            rows = _single_captions(part.rows()) if part.kind == "caption" else part.rows()
            objects = self._objects(split) if part.kind == "caption" else None
            yield from pretraining.vision_language_rows(rows, part.kind, self.dataset, objects, part.dataset)

    def _texts(self, parts: Sequence[RawTable], instances: Sequence[Path]) -> Iterator[SourceRow]:
        rows = {part.kind: part.rows() for part in parts}
        yield from pretraining.text_rows(rows.get("caption", ()), rows.get("vqa", ()), *instances[:1])

    def _without_held_out(self, rows: Callable[[], Iterator[SourceRow]], split: str) -> Iterator[SourceRow]:
        held_out = set().union(*(pictures for name, pictures in self._measuring.items() if name != split))
        return (row for row in rows() if row["image_path"] not in held_out)


def _is_empty(path: Path) -> bool:
    """Whether an annotation file is that of a split without pictures."""
    if path.stat().st_size > 20_000:
        return False
    records = ("images", "annotations", "questions")
    content = read_json(path)
    return not any(content.get(name) for name in records)


def _by_split(tables: Sequence[RawTable], splits: Iterable[str]) -> Iterator[tuple[str, str, list[RawTable]]]:
    """Split, suffix of the language, and the tables of both."""
    for split in splits:
        for language in ("", "_zh"):
            wanted = [table for table in tables if table.name == f"{table.dataset}{language}_{split}"]
            if wanted:
                yield split, language, wanted


def _single_captions(rows: Iterator[SourceRow]) -> Iterator[SourceRow]:
    """One row a caption, also where a picture's captions are joined."""
    for row in rows:
        captions = row["caption"].split("&&")
        for number, caption in enumerate(captions):
            uniq_id = row["uniq_id"] if len(captions) == 1 else f"{row['uniq_id']}_{number}"
            yield {**row, "uniq_id": uniq_id, "caption": caption}


def _annotations(questions: _File) -> Path | None:
    """The annotations that belong to a file of questions; None where they are not public."""
    name = questions.path.name.replace("questions_", "annotations_")
    name = name.replace("_OpenEnded_", "_").replace("_questions.json", "_annotations.json")
    path = questions.path.with_name(name)
    return path if path.is_file() else None
