"""Pretraining tables and their negatives, made of the rows of other sources."""

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

from ofa.data.sources.json_lists import read_list
from ofa.data.sources.records import SourceRow, one_line, values
from ofa.data.sources.vqa import clean_answer
from ofa.errors import OFAError
from ofa.files import atomic_write

_TYPES = {"caption": "caption", "vqa": "qa", "refcoco": "visual_grounding"}


def vision_language_rows(
    rows: Iterable[SourceRow],
    kind: Literal["caption", "vqa", "refcoco"],
    dataset: str,
    objects: Mapping[str, Sequence[str]] | None = None,
    part: str = "",
) -> Iterator[SourceRow]:
    """Rows of the vision_language table from rows of the caption, vqa or refcoco table.

    Args:
        rows: caption rows must hold one caption each.
        kind: the table that the rows are for.
        dataset: name of the source, for the column of that name.
        objects: names of what each picture shows, by image id (`coco.object_names`). A caption's row lists those that
            its caption mentions: a negative caption replaces one of them by another.
        part: name of the data set where several have one kind and count their rows alike (refcoco, refcocog); by
            default the kind.
    """
    for row in rows:
        made = {
            "uniq_id": f"{dataset}_{part or kind}_{row['uniq_id']}",
            "caption": row.get("caption", row.get("text", "")),
            "question": row.get("question", ""),
            "answers": row.get("answers", row.get("box", "")),
            "objects": "",
            "dataset": dataset,
            "type": _TYPES[kind],
            "image_path": row["image_path"],
        }
        if kind == "caption" and objects is not None:
            made["objects"] = "&&".join(name for name in objects.get(row["image_id"], ()) if name in made["caption"])
        yield made


def text_rows(
    captions: Iterable[SourceRow] = (), questions: Iterable[SourceRow] = (), instances: str | os.PathLike | None = None
) -> Iterator[SourceRow]:
    """Rows of the text table: what can be read in other sources, without the pictures.

    Args:
        captions: rows of the caption table; each caption is a text.
        questions: rows of the vqa table; each question with its most certain answer is a text.
        instances: COCO's instances file; its categories become facts ("a dog is an animal.").

    Raises:
        OFAError: a file or key is missing.
    """
    for row in captions:
        for number, caption in enumerate(row["caption"].split("&&")):
            yield {"uniq_id": f"caption_{row['uniq_id']}_{number}", "text": caption}
    for row in questions:
        if row["answers"]:
            confidences = [part.partition("|!+") for part in row["answers"].split("&&")]
            answer = max(confidences, key=lambda part: float(part[0]))[2]
            yield {"uniq_id": f"question_{row['uniq_id']}", "text": f"{row['question'].lower()} {answer}."}
    if instances is not None:
        for number, record in enumerate(read_list(instances, "categories")):
            name, group = values(record, instances, f"categories[{number}]", "name", "supercategory")
            yield {"uniq_id": f"category_{number}", "text": f"{_with_article(name)} is {_with_article(group)}."}


def write_negatives(
    folder: str | os.PathLike,
    captions: Iterable[str],
    objects: Iterable[str],
    annotations: str | os.PathLike | None = None,
) -> None:
    """Write what image-text matching draws its negatives from.

    `all_captions.txt` and `object.txt` hold a caption or a name a line, each once, in order of appearance;
    `type2ans.json` maps a type of answers ("how many", "yes/no", "color", "where", "other") to its answers, the most
    frequent first. Every answer has the type that it has most often; one that would be alone in its type is of "other".

    Args:
        folder: where to write.
        captions: captions of the training split.
        objects: names of kinds of objects.
        annotations: VQA v2 annotations of the training split; without them the answers are yes and no.

    Raises:
        OFAError: a file or key is missing, or there are no captions, or fewer than two objects or answers.
    """
    captions = list(dict.fromkeys(one_line(caption) for caption in captions))
    objects = list(dict.fromkeys(one_line(name) for name in objects))
    if not captions or len(objects) < 2:
        raise OFAError(
            f"negatives for {folder} need captions and at least two kinds of objects;"
            f" there are {len(captions)} captions and {len(objects)} kinds"
        )
    answers = {"other": ["yes", "no"]} if annotations is None else _answers_by_type(annotations)
    folder = Path(folder)
    for name, lines in (("all_captions.txt", captions), ("object.txt", objects)):
        with atomic_write(folder / name) as file:
            file.writelines(line + "\n" for line in lines)
    with atomic_write(folder / "type2ans.json") as file:
        json.dump(answers, file, ensure_ascii=False, indent=1)


def _answers_by_type(annotations: str | os.PathLike) -> dict[str, list[str]]:
    counts: Counter[str] = Counter()
    types: dict[str, Counter[str]] = {}
    for number, record in enumerate(read_list(annotations, "annotations")):
        question_type, answer_type, answer = values(
            record, annotations, f"annotations[{number}]", "question_type", "answer_type", "multiple_choice_answer"
        )
        answer = clean_answer(answer)
        counts[answer] += 1
        types.setdefault(answer, Counter())[_type_of(question_type, answer_type)] += 1
    answers = sorted(counts, key=lambda answer: (-counts[answer], answer))
    if len(answers) < 2:
        raise OFAError(f"{annotations} has fewer than two different answers: nothing to take negatives from")
    found: dict[str, list[str]] = {}
    for answer in answers:
        found.setdefault(types[answer].most_common(1)[0][0], []).append(answer)
    kept = {kind: members for kind, members in found.items() if kind != "other" and len(members) > 1}
    typed = {answer for members in kept.values() for answer in members}
    other = [answer for answer in answers if answer not in typed]
    return {"other": other if len(other) > 1 else answers} | kept


def _type_of(question_type: str, answer_type: str) -> str:
    if answer_type == "number":
        return "how many"
    if answer_type == "yes/no":
        return "yes/no"
    if "color" in question_type:
        return "color"
    return "where" if question_type.startswith("where") else "other"


def _with_article(noun: str) -> str:
    return ("an " if noun[:1].lower() in tuple("aeiou") else "a ") + noun
