"""What validation looks at: a short record of numbers and names for each row of a table, without its picture.

One function a kind of table turns a row (columns of `ofa.data.schema.TABLES`, as text) into a record. A value that
cannot be read makes a ValueError whose message is the reason.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence

from ofa.data.question_types import answer_type

Box = tuple[float, float, float, float]
Record = dict[str, int | float | str | None]

_WORD = re.compile(r"[\u4e00-\u9fff]|[^\s\u4e00-\u9fff]+")
_BOX = {"x0": "REAL", "y0": "REAL", "x1": "REAL", "y1": "REAL", "smallest_side": "REAL"}
_ANSWERS = {"answers": "INTEGER", "lowest_confidence": "REAL", "highest_confidence": "REAL", "empty_answers": "INTEGER"}
_SENTENCE = {"words": "INTEGER", "label": "TEXT"}
_CODES = {"codes": "INTEGER", "lowest_code": "INTEGER", "highest_code": "INTEGER"}

COLUMNS: dict[str, dict[str, str]] = {
    "caption": {"captions": "INTEGER", "fewest_words": "INTEGER", "most_words": "INTEGER"},
    "refcoco": {"words": "INTEGER", **_BOX},
    "vqa": {"words": "INTEGER", "answer_type": "TEXT", **_ANSWERS},
    "vision_language": {
        "type": "TEXT",
        "dataset": "TEXT",
        "caption_words": "INTEGER",
        "question_words": "INTEGER",
        **_ANSWERS,
        **_BOX,
    },
    "detection": {"boxes": "INTEGER", "unnamed": "INTEGER", "first_label": "TEXT", **_BOX},
    "text": {"words": "INTEGER", "characters": "INTEGER"},
    "snli_ve": {"words": "INTEGER", "label": "TEXT"},
    "image": _CODES,
    "image_gen": {"words": "INTEGER", **_CODES},
    "image_classify": {"label": "TEXT"},
    "ocr": {"words": "INTEGER", "characters": "INTEGER"},
    "gigaword": {"words": "INTEGER", "summary_words": "INTEGER"},
    **dict.fromkeys(("cola", "sst2"), _SENTENCE),
    **dict.fromkeys(("mnli", "mrpc", "qnli", "qqp", "rte"), _SENTENCE | {"second_words": "INTEGER"}),
}
"""Columns of the records by kind of table, with their types in SQL. What does not apply to a row is NULL.

x0, y0, x1, y1: the rectangle around all boxes of the row; smallest_side: the shortest side of any of its
boxes; all in pixels.
"""


def describe_row(kind: str, row: Mapping[str, str]) -> Record:
    """The record of a row; its keys are among `COLUMNS[kind]`. Raises ValueError with the reason for a bad value."""
    return _DESCRIBE[kind](row)


def count_words(text: str) -> int:
    """Words between spaces; of Chinese, each character."""
    return len(_WORD.findall(text))


def parse_box(text: str) -> Box:
    """The numbers of "x0,y0,x1,y1". Raises ValueError for anything else."""
    try:
        box = tuple(float(number) for number in text.split(","))
    except ValueError:
        box = ()
    if len(box) != 4 or not all(map(math.isfinite, box)):
        raise ValueError(f"box {text[:80]!r} is not four numbers x0,y0,x1,y1")
    return box


def parse_answers(text: str) -> list[tuple[float, str]]:
    """Confidence and answer of each part of "0.6|!+no&&1.0|!+yes". Raises ValueError for anything else."""
    pairs = []
    for part in text.split("&&"):
        confidence, mark, answer = part.partition("|!+")
        try:
            pairs.append((float(confidence), answer))
        except ValueError:
            mark = ""
        if not mark:
            raise ValueError(f"answer {part[:80]!r} is not of the form confidence|!+answer")
    return pairs


def parse_boxes(text: str) -> list[tuple[Box, str, str]]:
    """Box, object id and name of each part of "x0,y0,x1,y1,id,name&&...". Raises ValueError for anything else."""
    objects = []
    for part in text.split("&&"):
        fields = part.split(",", 5)
        if len(fields) != 6:
            raise ValueError(f"object {part[:80]!r} is not x0,y0,x1,y1,object_id,object_name")
        objects.append((parse_box(",".join(fields[:4])), fields[4], fields[5]))
    return objects


def _boxes(boxes: Sequence[Box]) -> Record:
    left, top, right, bottom = zip(*boxes, strict=True)
    sides = [min(box[2] - box[0], box[3] - box[1]) for box in boxes]
    return {
        "x0": min(left),
        "y0": min(top),
        "x1": max(right),
        "y1": max(bottom),
        "smallest_side": min(sides),
    }


def _answers(text: str) -> Record:
    pairs = parse_answers(text)
    confidences = [confidence for confidence, _ in pairs]
    return {
        "answers": len(pairs),
        "lowest_confidence": min(confidences),
        "highest_confidence": max(confidences),
        "empty_answers": sum(not answer.strip() for _, answer in pairs),
    }


def _caption(row: Mapping[str, str]) -> Record:
    lengths = [count_words(caption) for caption in row["caption"].split("&&")]
    return {"captions": len(lengths), "fewest_words": min(lengths), "most_words": max(lengths)}


def _refcoco(row: Mapping[str, str]) -> Record:
    return {"words": count_words(row["text"]), **_boxes([parse_box(row["box"])])}


def _vqa(row: Mapping[str, str]) -> Record:
    record: Record = {"words": count_words(row["question"])}
    if row["answers"]:
        _, best = max(parse_answers(row["answers"]), key=lambda pair: pair[0])
        record |= {"answer_type": answer_type(best), **_answers(row["answers"])}
    return record


def _vision_language(row: Mapping[str, str]) -> Record:
    record: Record = {"type": row["type"], "dataset": row["dataset"]}
    if row["type"] == "qa":
        record |= {"question_words": count_words(row["question"]), **_answers(row["answers"])}
    else:
        record["caption_words"] = count_words(row["caption"])
    if row["type"] == "visual_grounding":
        record |= _boxes([parse_box(row["answers"])])
    return record


def _detection(row: Mapping[str, str]) -> Record:
    objects = parse_boxes(row["boxes"])
    unnamed = sum(not name.strip() for _, _, name in objects)
    boxes = _boxes([box for box, _, _ in objects])
    return {"boxes": len(objects), "unnamed": unnamed, "first_label": objects[0][2], **boxes}


def _text(row: Mapping[str, str]) -> Record:
    return {"words": count_words(row["text"]), "characters": len(row["text"])}


def _snli_ve(row: Mapping[str, str]) -> Record:
    return {"words": count_words(row["hypothesis"]), "label": row["label"]}


def _image(row: Mapping[str, str]) -> Record:
    try:
        codes = [int(code) for code in row["codes"].split()]
    except ValueError:
        raise ValueError(f"codes {row['codes'][:80]!r} are not whole numbers joined by spaces") from None
    return {"codes": len(codes), "lowest_code": min(codes, default=None), "highest_code": max(codes, default=None)}


def _image_gen(row: Mapping[str, str]) -> Record:
    return {"words": count_words(row["caption"]), **_image(row)}


def _image_classify(row: Mapping[str, str]) -> Record:
    return {"label": row["label"]}


def _gigaword(row: Mapping[str, str]) -> Record:
    return {"words": count_words(row["source"]), "summary_words": count_words(row["target"])}


def _sentences(row: Mapping[str, str]) -> Record:
    record: Record = {"words": count_words(row["sentence1"]), "label": row["label"] or None}
    if "sentence2" in row:
        record["second_words"] = count_words(row["sentence2"])
    return record


_DESCRIBE: dict[str, Callable[[Mapping[str, str]], Record]] = {
    "caption": _caption,
    "refcoco": _refcoco,
    "vqa": _vqa,
    "vision_language": _vision_language,
    "detection": _detection,
    "text": _text,
    "snli_ve": _snli_ve,
    "image": _image,
    "image_gen": _image_gen,
    "image_classify": _image_classify,
    "ocr": _text,
    "gigaword": _gigaword,
    **dict.fromkeys(("cola", "mnli", "mrpc", "qnli", "qqp", "rte", "sst2"), _sentences),
}
