"""A scene's records in the public formats: COCO instances and captions, RefCOCO refs, VQA v2 questions and answers."""

import re
from collections import Counter
from random import Random
from typing import Any

from ofa.data.scenes.captions import caption_content, fits_length
from ofa.data.scenes.composition import Scene
from ofa.data.scenes.config import SceneConfig
from ofa.data.scenes.expressions import choose, descriptions
from ofa.data.scenes.language import Language
from ofa.data.scenes.questions import Question, answer_type, ask, question_type

_ANSWERS = 10
_MOST_DEVIATIONS = 3  # of the ten answers, so that the right one keeps its full score


def image_record(scene: Scene, image_id: int, file_name: str) -> dict[str, Any]:
    """COCO's entry of `images`."""
    return {"id": image_id, "file_name": file_name, "width": scene.width, "height": scene.height, "license": 1}


def instance_records(scene: Scene, image_id: int, category_ids: dict[str, int]) -> list[dict[str, Any]]:
    """COCO's entries of `annotations` for detection; boxes are [x, y, width, height] in pixels."""
    return [
        {
            "id": image_id * 10 + number,
            "image_id": image_id,
            "category_id": category_ids[thing.kind.name],
            "bbox": [float(thing.x0), float(thing.y0), float(thing.x1 - thing.x0), float(thing.y1 - thing.y0)],
            "area": float(thing.area),
            "iscrowd": 0,
            "segmentation": [],
        }
        for number, thing in enumerate(scene.objects)
    ]


def caption_records(
    scene: Scene, image_id: int, config: SceneConfig, language: Language, rng: Random
) -> list[dict[str, Any]]:
    """COCO's entries of `annotations` for captions: different sentences where the scene allows."""
    captions: list[str] = []
    for attempt in range(30 * config.captions):
        caption = language.caption(caption_content(scene, rng), rng)
        new = caption not in captions or attempt >= 20 * config.captions
        if new and fits_length(language.words(caption)):
            captions.append(caption)
            if len(captions) == config.captions:
                break
    return [
        {"id": image_id * 10 + number, "image_id": image_id, "caption": caption}
        for number, caption in enumerate(captions)
    ]


def ref_records(
    scene: Scene,
    image_id: int,
    split: str,
    file_name: str,
    category_ids: dict[str, int],
    config: SceneConfig,
    language: Language,
    rng: Random,
) -> list[dict[str, Any]]:
    """RefCOCO's refs: the objects that are referred to, each with its sentences."""
    found = [descriptions(thing, scene) for thing in scene.objects]
    order = [number for number in range(len(found)) if found[number]]
    rng.shuffle(order)
    sentences: dict[int, list[str]] = {}
    said: set[str] = set()
    for turn in range(config.expressions if order else 0):
        number = order[turn % len(order)]
        for _ in range(10):
            description = choose(found[number], scene, scene.objects[number], rng)
            text = language.expression(description, rng)
            if text not in said:
                said.add(text)
                sentences.setdefault(number, []).append(text)
                break
    return [
        {
            "ref_id": image_id * 10 + number,
            "ann_id": image_id * 10 + number,
            "image_id": image_id,
            "category_id": category_ids[scene.objects[number].kind.name],
            "split": split,
            "file_name": file_name,
            "sent_ids": [image_id * 100 + number * 10 + position for position in range(len(texts))],
            "sentences": [
                {
                    "sent_id": image_id * 100 + number * 10 + position,
                    "raw": text,
                    "sent": _plain(text),
                    "tokens": _plain(text).split(),
                }
                for position, text in enumerate(texts)
            ],
        }
        for number, texts in sorted(sentences.items())
    ]


def question_records(
    scene: Scene, image_id: int, config: SceneConfig, language: Language, rng: Random
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """VQA v2's entries of `questions` and of `annotations`."""
    questions, annotations = [], []
    for number, question in enumerate(ask(scene, config.used_kinds, config.questions, rng)):
        question_id = image_id * 1000 + number
        text = language.question(question, rng)
        questions.append({"image_id": image_id, "question": text, "question_id": question_id})
        answers = _annotators(question, config, language, rng)
        annotations.append(
            {
                "question_type": question_type(question),
                "multiple_choice_answer": Counter(answers).most_common(1)[0][0],
                "answers": [
                    {
                        "answer": answer,
                        "answer_confidence": rng.choices(("yes", "maybe", "no"), (17, 2, 1))[0],
                        "answer_id": position + 1,
                    }
                    for position, answer in enumerate(answers)
                ],
                "image_id": image_id,
                "answer_type": answer_type(question).value,
                "question_id": question_id,
            }
        )
    return questions, annotations


def _annotators(question: Question, config: SceneConfig, language: Language, rng: Random) -> list[str]:
    answers = [language.answer(question)] * _ANSWERS
    deviating = [position for position in range(_ANSWERS) if rng.random() < config.annotator_noise]
    for position in deviating[:_MOST_DEVIATIONS]:
        answers[position] = rng.choice(language.near_answers(question))
    return answers


def _plain(text: str) -> str:
    """A raw expression as RefCOCO's `sent`: lower case, without punctuation."""
    return re.sub(r"[^\w\s]", "", text.lower()).strip()
