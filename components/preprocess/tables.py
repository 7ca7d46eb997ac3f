"""Build the TSV tables of training and evaluation from raw data: in shards, on all cores, resumable."""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from components.folders import check_place, make_staging, replace_folder
from components.preprocess.assembly import SHARDS, Assembly, check_side, described_tables
from components.preprocess.parts import take_parts
from components.preprocess.plan import Plan, language_of, make_plan
from components.preprocess.quarantine import NAME as REJECTED_TABLE
from components.preprocess.quarantine import REJECTED
from components.preprocess.raw_table import TRAIN, RawTable
from components.preprocess.workers import workers
from components.tables import annotations_name
from ofa.data import TableWriter
from ofa.data.sources.pretraining import write_negatives
from ofa.data.sources.vqa import write_question_types
from ofa.errors import OFAError
from ofa.files import atomic_write, sha256_file

STATISTICS = "statistics.json"
ANSWERS = "answers.json"
LABELS = "labels.json"
NEGATIVES = "negatives"
TRAINING = "training.json"
_MOST_VALUES = 200

_Rejected = tuple[str, int, str, str]


def tables(
    out: str,
    raw: str,
    validated: str = "",
    kinds: Sequence[str] = (),
    splits: Sequence[str] = (),
    captions_per_image: int = 0,
    expressions_per_image: int = 0,
    questions_per_image: int = 0,
    pretraining_per_image: int = 0,
    answers: int = 3129,
    answer_splits: Sequence[str] = (TRAIN,),
    max_image_side: int = 0,
    rows_per_shard: int = 2000,
    processes: int = 0,
    max_bad_rows: int = 0,
    parts: Sequence[str] = (),
) -> dict[str, Any]:
    """Build the tables `out/KIND_SPLIT.tsv` of raw data, and what belongs to them.

    Beside the tables: `statistics.json`, `rejected.tsv`, `training.json` (hashes of what training reads),
    `vqa_SPLIT_annotations.json` (VQA v2's annotations without what people answered: the types of the questions),
    `answers.json` (the answers that VQA may give), `labels.json` (the classes of image classification), and
    `negatives/` for image-text matching; those of another language end in its suffix. The files are made beside `out`,
    which takes its name at the end; an interrupted build keeps its finished shards, and tables whose input is the same
    as before are taken over.

    Args:
        out: the folder to make.
        raw: a folder that `fetch` made.
        validated: a folder that `validate` made from it; the rows that it rejected are left out.
        kinds: kinds of tables to build; all that the data allow by default.
        splits: splits to build; all by default.
        captions_per_image: at most so many rows of a picture in the training table of captions (0: all); every row
            repeats its picture.
        expressions_per_image: the same for the training tables of referring expressions.
        questions_per_image: the same for the training table of questions.
        pretraining_per_image: the same for each type of rows of the pretraining table vision_language.
        answers: how many of the most frequent answers of VQA may be given (0: all).
        answer_splits: the splits whose answers count for that; the original's `trainval_ans2label` is of train and val.
        max_image_side: pixels; a picture with a longer side is written anew, with that side so long, and its boxes are
            scaled (0: every picture file goes into the table as it is).
        rows_per_shard: rows that are built, and kept after an interruption, at a time.
        processes: how many work at once; 0 is one a core. The result does not depend on it.
        max_bad_rows: how many rows may be left out because they cannot be written, for example without a picture.
        parts: folders that `build_part` made with the same arguments; their shards are not built again.

    Returns:
        The content of statistics.json.

    Raises:
        OFAError: a wrong argument, too many bad rows, a full disk.
    """
    if rows_per_shard < 1:
        raise OFAError(f"rows_per_shard is {rows_per_shard}; it must be at least 1")
    check_side(max_image_side)
    plan = make_plan(
        raw,
        validated,
        kinds,
        splits,
        captions_per_image,
        expressions_per_image,
        questions_per_image,
        pretraining_per_image,
        answers,
        answer_splits,
    )
    folder = Path(out)
    check_place(folder, STATISTICS)
    staging = make_staging(folder, keep=True)
    take_parts(parts, staging)
    previous = described_tables(folder, STATISTICS)
    files = plan.manifest.files
    assembly = Assembly(plan.data.folder, files, staging, folder, previous, rows_per_shard, max_image_side)
    described: dict[str, Any] = {}
    bad: list[_Rejected] = []
    with workers(processes) as work:
        for table in plan.tables:
            selected = plan.select(table)
            built = assembly.assemble(table, selected, work)
            numbers = selected.numbers([place for place, _, _ in built.rejected])
            bad += [(table.name, numbers[place], uniq_id, reason) for place, uniq_id, reason in built.rejected]
            if len(bad) > max_bad_rows:
                raise OFAError(_too_many(bad, max_bad_rows))
            described[table.name] = {
                "kind": table.kind,
                "split": table.split,
                "left_out": selected.left_out,
                **built.to_dict(_MOST_VALUES),
            }
    annotations = _write_annotations(staging, plan.tables)
    for language, texts in plan.answers.items():
        _write_json(staging / _in_language(ANSWERS, language), texts)
    if any(table.kind == "image_classify" for table in plan.tables):
        _write_json(staging / LABELS, plan.data.class_names)
    for language in {language_of(table) for table in plan.tables if table.kind == "vision_language"}:
        _write_negatives(staging / f"{NEGATIVES}{language}", plan, language)
    with TableWriter(staging / REJECTED_TABLE, REJECTED) as writer:
        for values in bad:
            writer.write(dict(zip(REJECTED, values, strict=True)))
    statistics = {
        "data": plan.origin,
        "tables": described,
        "annotations": annotations,
        "rejected_rows": len(bad),
        "answers": {language: len(texts) for language, texts in plan.answers.items()},
    }
    _write_json(staging / TRAINING, _training(staging, described))
    _write_json(staging / STATISTICS, statistics)
    shutil.rmtree(staging / SHARDS, ignore_errors=True)
    replace_folder(staging, folder)
    return statistics


def _in_language(name: str, language: str) -> str:
    path = Path(name)
    return f"{path.stem}{language}{path.suffix}"


def _write_annotations(folder: Path, built: Sequence[RawTable]) -> dict[str, str]:
    """SHA-256 of the annotations beside tables of questions, by the tables' names."""
    found = {}
    for table in built:
        path = folder / annotations_name(f"{table.name}.tsv")
        if table.annotations is not None and write_question_types(table.annotations, path):
            found[table.name] = sha256_file(path)
    return found


def _write_negatives(folder: Path, plan: Plan, language: str) -> None:
    data, name = plan.data, f"caption{language}_{TRAIN}"
    if name in data.tables and len(data.object_names) > 1:
        rows = (row for row in data.tables[name].rows() if row["uniq_id"] not in plan.rejected.get(name, {}))
        captions = (caption for row in rows for caption in row["caption"].split("&&"))
        write_negatives(folder, captions, data.object_names, data.annotations.get(language))


def _training(folder: Path, described: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, str]]:
    """SHA-256 of the tables, lists of answers and labels, and negatives that training reads, by their names."""
    names = {
        "tables": [f"{name}.tsv" for name, table in described.items() if table["split"] in (TRAIN, "val")],
        "lists": [path.name for name in (ANSWERS, LABELS) for path in folder.glob(f"{Path(name).stem}*")],
        "negatives": [path.relative_to(folder).as_posix() for path in folder.glob(f"{NEGATIVES}*/*")],
    }
    return {part: {name: sha256_file(folder / name) for name in sorted(files)} for part, files in names.items()}


def _write_json(path: Path, content: Any) -> None:
    with atomic_write(path) as file:
        json.dump(content, file, indent=1, ensure_ascii=False)


def _too_many(bad: Sequence[_Rejected], limit: int) -> str:
    examples = ", ".join(f"{table}/{uniq_id}" for table, _, uniq_id, _ in bad[:10])
    more = ", ..." if len(bad) > 10 else ""
    return (
        f"{len(bad)} rows cannot be written ({examples}{more}), max_bad_rows is {limit}; the first: {bad[0][3]}; "
        "correct the raw data or raise max_bad_rows"
    )
