"""VQA v2: questions, and what ten people answered."""

import json
import os
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from sys import intern
from typing import Any

from ofa.data.answers import confidence, normalize_answer
from ofa.data.sources.json_lists import read_list
from ofa.data.sources.records import ImageFolder, SourceRow, one_line, values
from ofa.errors import OFAError
from ofa.files import atomic_write

_TYPES = ("question_type", "answer_type")


def rows(
    questions: str | os.PathLike,
    annotations: str | os.PathLike | None,
    images_folder: str | os.PathLike,
    answers: Collection[str] | None = None,
) -> Iterator[SourceRow]:
    """Rows of the vqa table: "0.6|!+no&&1.0|!+yes", each different answer with its confidence.

    Answers are normalized as the official evaluation does.

    Args:
        questions: `v2_OpenEnded_mscoco_*_questions.json`.
        annotations: `v2_mscoco_*_annotations.json`; None for a test split, whose answers are not public.
        images_folder: where the split's pictures are.
        answers: keep these answers only, and leave out the questions that none of them answers, as for training.

    Raises:
        OFAError: a file, folder or key is missing, or a question has no annotation.
    """
    images = ImageFolder(images_folder)
    votes = {} if annotations is None else _votes(annotations)
    for number, record in enumerate(read_list(questions, "questions")):
        place = f"questions[{number}]"
        question_id, image_id, question = values(record, questions, place, "question_id", "image_id", "question")
        if annotations is not None and question_id not in votes:
            raise OFAError(f"{questions}: {place}, id {question_id}, has no annotation in {annotations}")
        counts = votes.get(question_id, ())
        kept = [(answer, count) for answer, count in counts if answers is None or answer in answers]
        if answers is not None and not kept:
            continue
        yield {
            "uniq_id": str(question_id),
            "image_id": str(image_id),
            "question": one_line(question),
            "answers": "&&".join(f"{confidence(count):.1f}|!+{answer}" for answer, count in kept),
            "objects": "",
            "image_path": images.by_id(image_id),
        }


def build_answers(annotations: str | os.PathLike | Sequence[str | os.PathLike], top_n: int | None = 3129) -> list[str]:
    """The answers that a model may choose from: what the original's `trainval_ans2label` was made of.

    Args:
        annotations: one file of annotations or several.
        top_n: how many of the most frequent ones (by `multiple_choice_answer`, ties in alphabetical order); None for
            all. 3129 is what the original has of VQA v2.

    Raises:
        OFAError: a file or key is missing.
    """
    counts: Counter[str] = Counter()
    for path in [annotations] if isinstance(annotations, str | os.PathLike) else annotations:
        for number, record in enumerate(read_list(path, "annotations")):
            (answer,) = values(record, path, f"annotations[{number}]", "multiple_choice_answer")
            counts[clean_answer(answer)] += 1
    counts.pop("", None)
    return sorted(counts, key=lambda answer: (-counts[answer], answer))[:top_n]


def question_types(annotations: str | os.PathLike) -> dict[str, tuple[str, str]]:
    """Type of the question and type of the answer by question id; empty where the annotations say no types.

    Args:
        annotations: `v2_mscoco_*_annotations.json`, or what `write_question_types` makes of it.

    Raises:
        OFAError: the file is missing, or some of its entries lack a key.
    """
    return {str(question_id): (kind, answer) for question_id, kind, answer in _types(annotations)}


def write_question_types(annotations: str | os.PathLike, path: str | os.PathLike) -> bool:
    """Write annotations without what people answered, which the table has: a tenth of the size.

    Returns:
        Whether the annotations say types; else nothing is written.

    Raises:
        OFAError: the file is missing, or some of its entries lack a key.
    """
    lines = [
        json.dumps(dict(zip(("question_id", *_TYPES), entry, strict=True)), ensure_ascii=False)
        for entry in _types(annotations)
    ]
    if lines:
        with atomic_write(path) as file:
            file.write('{"annotations": [\n' + ",\n".join(lines) + "\n]}\n")
    return bool(lines)


def _types(annotations: str | os.PathLike) -> Iterator[tuple[Any, str, str]]:
    """Id, type of the question, type of the answer."""
    for number, record in enumerate(read_list(annotations, "annotations")):
        if number == 0 and isinstance(record, Mapping) and not any(name in record for name in _TYPES):
            return
        place = f"annotations[{number}]"
        question_id, *types = values(record, annotations, place, "question_id", *_TYPES)
        yield question_id, *map(intern, types)


def _votes(annotations: str | os.PathLike) -> dict[int, tuple[tuple[str, int], ...]]:
    """By question id, each answer and how many people gave it, the most frequent first."""
    found = {}
    for number, record in enumerate(read_list(annotations, "annotations")):
        place = f"annotations[{number}]"
        question_id, given = values(record, annotations, place, "question_id", "answers")
        counts = Counter(intern(clean_answer(values(item, annotations, place, "answer")[0])) for item in given)
        counts.pop("", None)
        found[question_id] = tuple(counts.most_common())
    return found


def clean_answer(answer: str) -> str:
    """An answer as the tables have it: normalized as the official evaluation does."""
    return one_line(normalize_answer(str(answer))).replace("|!+", " ")
