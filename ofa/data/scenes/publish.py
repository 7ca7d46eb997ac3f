"""Write scenes to a folder as the public data sets come: images, COCO, RefCOCO and VQA v2 files."""

import json
import os
import pickle
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from ofa.data.scenes.annotations import caption_records, image_record, instance_records, question_records, ref_records
from ofa.data.scenes.artwork import license_text
from ofa.data.scenes.chinese import Chinese
from ofa.data.scenes.composition import compose, scene_rng
from ofa.data.scenes.config import SPLITS, SceneConfig
from ofa.data.scenes.english import English
from ofa.data.scenes.kinds import check_names
from ofa.data.scenes.language import Language
from ofa.errors import OFAError
from ofa.files import ensure_space
from ofa.progress import bar

_CHUNK = 100  # images that a process makes before it reports
_LANGUAGES: dict[str, Language] = {"en": English(), "zh": Chinese()}
_IN_WORDS = ("captions", "refs", "questions", "answers")
_INFO = {"description": "OpenMoji scenes", "version": "1.0"}
_LICENSES = [{"id": 1, "name": "CC BY-SA 4.0", "url": "https://creativecommons.org/licenses/by-sa/4.0/"}]


def write_scenes(out: str | os.PathLike, config: SceneConfig, processes: int | None = None) -> None:
    """Make all splits of a set of scenes.

    Layout of `out`::

        images/{split}/000000000123.jpg
        annotations/instances_{split}.json        COCO detection
        annotations/captions_{split}.json         COCO captions
        refcoco/instances.json, refs(ofa).p       RefCOCO, all splits; file names begin with the split's folder
        vqa/questions_{split}.json                VQA v2
        vqa/annotations_{split}.json
        LICENSE-artwork

    English files are named as above; those of another language end in `_zh` (`captions_train_zh.json`,
    `refs(ofa_zh).p`, ...). The splits are train, val, test and test_pairs. `out` appears when all is written and
    replaces what was there; a run that is killed leaves only a folder `.{name}.partial`, which the next run clears.

    Args:
        out: the folder to make.
        config: what to make.
        processes: how many work at once; all cores by default. The result does not depend on it.

    Raises:
        OFAError: the folder cannot be written, or the disk is full.
    """
    check_names(config.used_kinds)
    total = sum(getattr(config, split) for split in SPLITS)
    pixels = max(width * height for width, height in config.sizes)
    ensure_space(out, total * (pixels // 2 + 12_000 * len(config.languages)))
    try:
        with _replaced_folder(Path(out)) as folder, bar(total, "Making scenes", "image") as progress:
            _write_all(folder, config, processes or len(os.sched_getaffinity(0)), progress.update)
            (folder / "LICENSE-artwork").write_text(license_text(), encoding="utf-8")
    except OSError as error:
        reason = f"{error.strerror} ({error.filename})" if error.filename else error.strerror
        raise OFAError(f"cannot write scenes to {out}: {reason}; free space or choose another folder") from error


_Records = dict[str, list[str]]
"""Records as serialized JSON by what they are; the names of those in words end in the language's suffix."""


def _write_all(folder: Path, config: SceneConfig, processes: int, advance: Callable[[int], object]) -> None:
    for name in ("annotations", "refcoco", "vqa", *(f"images/{split}" for split in SPLITS)):
        (folder / name).mkdir(parents=True)
    everything: _Records = defaultdict(list)
    first_id = 1
    with ProcessPoolExecutor(processes) as pool:
        for split in SPLITS:
            count = getattr(config, split)
            work = partial(_make_chunk, folder / "images", config, split, first_id)
            chunks = [range(start, min(start + _CHUNK, count)) for start in range(0, count, _CHUNK)]
            records: _Records = defaultdict(list)
            for chunk, made in zip(chunks, (map if processes == 1 else pool.map)(work, chunks), strict=True):
                for name, more in made.items():
                    records[name] += more
                advance(len(chunk))
            _write_split(folder, config, split, records)
            for name, more in records.items():
                if name == "instances" or name.startswith("ref"):
                    everything[name] += more
            first_id += count
    _write_refcoco(folder / "refcoco", config, everything)


def _make_chunk(images: Path, config: SceneConfig, split: str, first_id: int, indices: range) -> _Records:
    """Make some images of a split: the JPEG files, and their records."""
    made: _Records = defaultdict(list)
    categories = {kind.name: number for number, kind in enumerate(config.used_kinds, start=1)}
    languages = {name: _LANGUAGES[name] for name in config.languages}
    for index in indices:
        image_id = first_id + index
        file_name = f"{image_id:012d}.jpg"
        scene, picture = compose(config, split, index)
        picture.save(images / split / file_name, quality=config.jpeg_quality)
        made["images"].append(_dumps(image_record(scene, image_id, file_name)))
        made["ref_images"].append(_dumps(image_record(scene, image_id, f"{split}/{file_name}")))
        made["instances"] += map(_dumps, instance_records(scene, image_id, categories))
        for name, language in languages.items():
            rng = scene_rng(config, split, index, name)
            captions = caption_records(scene, image_id, config, language, rng)
            refs = ref_records(scene, image_id, split, f"{split}/{file_name}", categories, config, language, rng)
            questions, answers = question_records(scene, image_id, config, language, rng)
            for kind, records in zip(_IN_WORDS, (captions, refs, questions, answers), strict=True):
                made[kind + _suffix(name)] += map(_dumps, records)
    return made


def _write_split(folder: Path, config: SceneConfig, split: str, records: _Records) -> None:
    _write_json(
        folder / "annotations" / f"instances_{split}.json",
        images=records["images"],
        annotations=records["instances"],
        categories=_categories(config),
    )
    for suffix in map(_suffix, config.languages):
        name = f"{split}{suffix}.json"
        captions, _, questions, answers = (records[kind + suffix] for kind in _IN_WORDS)
        _write_json(folder / "annotations" / f"captions_{name}", images=records["images"], annotations=captions)
        head = {"task_type": "Open-Ended", "data_type": "scenes", "data_subtype": split, "license": _LICENSES[0]}
        _write_json(folder / "vqa" / f"questions_{name}", head, questions=questions)
        _write_json(folder / "vqa" / f"annotations_{name}", head, annotations=answers)


def _write_refcoco(folder: Path, config: SceneConfig, records: _Records) -> None:
    _write_json(
        folder / "instances.json",
        images=records["ref_images"],
        annotations=records["instances"],
        categories=_categories(config),
    )
    for suffix in map(_suffix, config.languages):
        # All are parsed at once, since a pickle's bytes depend on which equal texts are one object.
        refs = json.loads(f"[{','.join(records['refs' + suffix])}]")
        with open(folder / f"refs(ofa{suffix}).p", "wb") as file:
            pickle.dump(refs, file, protocol=2)


def _categories(config: SceneConfig) -> list[str]:
    return [
        json.dumps({"id": number, "name": kind.name, "supercategory": kind.group})
        for number, kind in enumerate(config.used_kinds, start=1)
    ]


def _write_json(path: Path, head: dict[str, Any] | None = None, /, **lists: list[str]) -> None:
    """Write an object whose lists hold records that are serialized already."""
    with open(path, "w", encoding="utf-8") as file:
        file.write(json.dumps({"info": _INFO, "licenses": _LICENSES, **(head or {})})[:-1])
        for name, records in lists.items():
            file.write(f', "{name}": [')
            file.write(", ".join(records))
            file.write("]")
        file.write("}")


def _dumps(record: dict[str, Any]) -> str:
    return json.dumps(record, ensure_ascii=False)


def _suffix(language: str) -> str:
    return "" if language == "en" else f"_{language}"


@contextmanager
def _replaced_folder(out: Path) -> Iterator[Path]:
    """A folder beside `out` that takes its place when the block ends without an error."""
    partial_folder = out.with_name(f".{out.name}.partial")
    shutil.rmtree(partial_folder, ignore_errors=True)
    partial_folder.mkdir(parents=True)
    try:
        yield partial_folder
        old = out.with_name(f".{out.name}.old")
        shutil.rmtree(old, ignore_errors=True)
        if out.exists():
            out.rename(old)
        partial_folder.rename(out)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(partial_folder, ignore_errors=True)
