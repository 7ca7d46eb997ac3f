"""COCO with Karpathy's splits, the three RefCOCOs and VQA v2, of a few pictures, under their published names."""

import json
import pickle
from pathlib import Path

from tests.components.formats.published import COLORS, picture, write

TRAIN, VAL = range(1, 13), range(101, 107)
BOX = [10.0, 8.0, 30.0, 20.0]
REFS = {
    "refcoco": ("unc", ("train", "train", "val", "testA", "testB")),
    "refcoco+": ("unc", ("train", "train", "val", "testA", "testB")),
    "refcocog": ("umd", ("train", "train", "val", "test")),
}
"""By folder: the edition, and the splits that its pictures, all of COCO's train2014, take turns in."""


def write_coco(folder: Path) -> None:
    """All files below one folder."""
    for split, numbers in (("train2014", TRAIN), ("val2014", VAL)):
        for number in numbers:
            write(folder / split / _name(split, number), picture(_color(number), number))
        _write_vqa(folder / "vqa", split, numbers)
    _write_json(folder / "annotations" / "instances_train2014.json", _instances())
    _write_karpathy(folder / "dataset_coco.json")
    for name, (edition, splits) in REFS.items():
        _write_json(folder / name / "instances.json", _instances())
        refs = [_ref(number, splits[number % len(splits)]) for number in TRAIN]
        (folder / name / f"refs({edition}).p").write_bytes(pickle.dumps(refs, protocol=2))


def _name(split: str, number: int) -> str:
    return f"COCO_{split}_{number:012d}.jpg"


def _color(number: int) -> str:
    return COLORS[number % 3]


def _write_json(path: Path, content: dict) -> None:
    write(path, json.dumps(content))


def _instances() -> dict:
    images = [{"id": n, "file_name": _name("train2014", n), "width": 72, "height": 64} for n in TRAIN]
    boxes = [
        {"id": 10 * n, "image_id": n, "category_id": 1 + n % 2, "bbox": BOX, "area": 600.0, "iscrowd": 0} for n in TRAIN
    ]
    categories = [{"id": 1, "name": "square", "supercategory": "shape"}]
    categories += [{"id": 2, "name": "box", "supercategory": "shape"}]
    return {"images": images, "annotations": boxes, "categories": categories}


def _write_karpathy(path: Path) -> None:
    images = []
    splits = ["train"] * 8 + ["restval"] * 4 + ["val"] * 3 + ["test"] * 3
    for place, (number, split) in enumerate(zip([*TRAIN, *VAL], splits, strict=True)):
        folder = "train2014" if number in TRAIN else "val2014"
        raw = [f"A square on {_color(number)} ground.", f"Some {_color(number)} picture, with a box"]
        sentences = [
            {"tokens": text.lower().split(), "raw": text, "imgid": place, "sentid": 2 * place + n}
            for n, text in enumerate(raw)
        ]
        images.append(
            {"filepath": folder, "filename": _name(folder, number), "imgid": place, "cocoid": number, "split": split}
            | {"sentids": [2 * place, 2 * place + 1], "sentences": sentences}
        )
    _write_json(path, {"images": images, "dataset": "coco"})


def _ref(number: int, split: str) -> dict:
    texts = ["black square", f"The square on {_color(number)}"]
    sentences = [
        {"tokens": text.lower().split(), "raw": text, "sent_id": 2 * number + n, "sent": text.lower()}
        for n, text in enumerate(texts)
    ]
    name = _name("train2014", number).replace(".jpg", f"_{10 * number}.jpg")
    return {
        "ref_id": 1000 + number,
        "ann_id": 10 * number,
        "image_id": number,
        "category_id": 1,
        "split": split,
        "file_name": name,
        "sent_ids": [2 * number, 2 * number + 1],
        "sentences": sentences,
    }


def _write_vqa(folder: Path, split: str, numbers: range) -> None:
    questions, annotations = [], []
    for number in numbers:
        color = ("What color is it?", "other", "what color is", _color(number))
        there = ("Is there a square?", "yes/no", "is there a", "yes")
        for n, (question, answer_type, question_type, answer) in enumerate((color, there)):
            shared = {"question_id": 1000 * number + n, "image_id": number}
            votes = [answer] * 8 + ["Blue.", "no"]
            answers = [{"answer": vote, "answer_confidence": "yes", "answer_id": i} for i, vote in enumerate(votes, 1)]
            questions.append(shared | {"question": question})
            annotations.append(
                shared
                | {"question_type": question_type, "answer_type": answer_type}
                | {"multiple_choice_answer": answer, "answers": answers}
            )
    head = {"info": {}, "license": {}, "data_type": "mscoco", "data_subtype": split}
    name = folder / f"v2_OpenEnded_mscoco_{split}_questions.json"
    _write_json(name, head | {"task_type": "Open-Ended", "questions": questions})
    _write_json(folder / f"v2_mscoco_{split}_annotations.json", head | {"annotations": annotations})
