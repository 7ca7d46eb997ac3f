"""Captions are true of their pictures and differ as people's do."""

import re
from collections import Counter, defaultdict

import pytest

from ofa.data.scenes.kinds import KINDS

NUMBERS = {"a": 1, "an": 1, "two": 2, "three": 3, "four": 4, "five": 5}
NAMES = {name: kind.name for kind in KINDS for name in (kind.name, kind.many)}
PHRASE = re.compile(r"\b(an?|two|three|four|five) (?:(big|small) )?(\w+)\b")
RELATION = re.compile(r" (?:to the )?(left of|right of|above|below|under) ")


def mentioned(text):
    """Kinds that the caption names, with how many, and of what size it says they are."""
    found = [(match[3], NUMBERS[match[1]], match[2]) for match in PHRASE.finditer(text.lower())]
    return [(NAMES[noun], count, size) for noun, count, size in found if noun in NAMES]


@pytest.fixture(scope="module")
def captions(scenes):
    by_image = defaultdict(list)
    for content in scenes.captions.values():
        for record in content["annotations"]:
            by_image[record["image_id"]].append(record["caption"])
    return by_image


def test_what_is_named_is_there_as_often_as_said(scenes, captions):
    for image_id, texts in captions.items():
        counts = Counter(thing["name"] for thing in scenes.objects[image_id])
        for text in texts:
            named = mentioned(text)
            assert len(named) >= len(counts) - 1 and named, text
            assert all(counts[name] == count for name, count, _ in named), (image_id, text)


def test_relations_and_sizes_are_true(scenes, captions):
    relations = sizes = 0
    for image_id, texts in captions.items():
        things, image = scenes.objects[image_id], scenes.images[image_id]
        for text in texts:
            if found := RELATION.search(text):
                relations += 1
                first, others = ({name for name, _, _ in mentioned(part)} for part in RELATION.split(text)[::2])
                axis, sign = {"left of": ("x", -1), "right of": ("x", 1), "above": ("y", -1)}.get(found[1], ("y", 1))
                for thing in things:
                    for other in things:
                        if thing["name"] in first and other["name"] in others:
                            assert sign * (thing[axis] - other[axis]) > 0, (image_id, text)
            for name, _, size in mentioned(text):
                if size:
                    sizes += 1
                    (area,) = (thing["area"] for thing in things if thing["name"] == name)
                    share = area**0.5 / min(image["width"], image["height"])
                    assert share >= 0.5 if size == "big" else share <= 0.3, (image_id, text)
    assert relations > 100 and sizes > 30


def test_five_captions_that_differ(captions):
    assert {len(texts) for texts in captions.values()} == {5}
    lengths = [len(text.split()) for texts in captions.values() for text in texts]
    assert min(lengths) >= 4 and max(lengths) <= 14
    assert sum(len(set(texts)) for texts in captions.values()) / len(captions) > 4.7


def test_people_agree_more_within_a_picture_than_between_pictures(captions):
    """A caption of the same picture is a better guess than any other: what CIDEr rewards."""
    from pycocoevalcap.cider.cider import Cider

    texts = {image_id: [re.sub(r"[,.]", "", text.lower()) for text in found] for image_id, found in captions.items()}
    others = {image_id: found[1:] for image_id, found in texts.items()}
    same = Cider().compute_score(others, {image_id: found[:1] for image_id, found in texts.items()})[0]
    shifted = dict(zip(texts, [*list(texts.values())[1:], texts[next(iter(texts))]], strict=True))
    different = Cider().compute_score(others, {image_id: found[:1] for image_id, found in shifted.items()})[0]
    assert same > 4 and different < 1


def test_chinese_captions_name_the_same_objects(scenes):
    names = {kind.name: kind.chinese for kind in KINDS}
    content = scenes._json("annotations/captions_test_zh.json")
    assert len(content["annotations"]) == 5 * len(content["images"])
    for record in content["annotations"]:
        kinds = {names[thing["name"]] for thing in scenes.objects[record["image_id"]]}
        assert sum(name in record["caption"] for name in kinds) >= len(kinds) - 1
        assert re.fullmatch(r"[\u4e00-\u9fff、，]+。", record["caption"])
