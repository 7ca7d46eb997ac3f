"""Chinese expressions and answers are as right as English ones."""

import pickle
import re

import pytest

from ofa.data.scenes.kinds import KINDS

ENGLISH = {kind.chinese: kind.name for kind in KINDS}
TOWARD = {"左边": ("x", -1), "右边": ("x", 1), "上面": ("y", -1), "下面": ("y", 1)}
CELLS = {
    "左上角": (0, 0), "上方": (1, 0), "右上角": (2, 0), "左边": (0, 1), "中间": (1, 1), "右边": (2, 1),
    "左下角": (0, 2), "下方": (1, 2), "右下角": (2, 2),
}  # fmt: skip


def named(noun, things):
    return [thing for thing in things if noun in ("物体", "东西") or thing["name"] == ENGLISH[noun]]


def cell(thing, image):
    return int(3 * thing["x"] / image["width"]), int(3 * thing["y"] / image["height"])


def meant(text, things, image):
    if found := re.fullmatch(r"最(左边|右边|上面|下面)的(.+)", text):
        axis, sign = TOWARD[found[1]]
        return [max(named(found[2], things), key=lambda thing: sign * thing[axis])]
    if found := re.fullmatch(r"最(大|小)的(.+)", text):
        return [(max if found[1] == "大" else min)(named(found[2], things), key=lambda thing: thing["area"])]
    if found := re.fullmatch(r"(左上角|右上角|左下角|右下角|中间)的(.+)", text):
        return [thing for thing in named(found[2], things) if cell(thing, image) == CELLS[found[1]]]
    if found := re.fullmatch(r"(.+)(左边|右边|上面|下面)的(.+)", text):
        (anchor,) = named(found[1], things)
        axis, sign = TOWARD[found[2]]
        return [thing for thing in named(found[3], things) if sign * (thing[axis] - anchor[axis]) > 0]
    measures = "".join({kind.measure for kind in KINDS})
    return named(re.sub(rf"^那[{measures}]", "", text), things)


def test_each_expression_means_its_object_and_no_other(scenes):
    with open(scenes.folder / "refcoco" / "refs(ofa_zh).p", "rb") as file:
        refs = pickle.load(file)
    assert sum(len(ref["sentences"]) for ref in refs) > 4 * len(scenes.images)
    for ref in refs:
        for sentence in ref["sentences"]:
            fitting = meant(sentence["sent"], scenes.objects[ref["image_id"]], scenes.images[ref["image_id"]])
            assert [thing["id"] for thing in fitting] == [ref["ann_id"]], sentence


def answer(question, things, image):
    if found := re.fullmatch(r"图中有(.+)吗？|有没有(.+)？", question):
        return "有" if named(found[1] or found[2], things) else "没有"
    if found := re.fullmatch(r"(.+)在(.+)的(左边|右边|上面|下面)吗？", question):
        ((thing,), (anchor,)), (axis, sign) = (named(found[n], things) for n in (1, 2)), TOWARD[found[3]]
        return "是" if sign * (thing[axis] - anchor[axis]) > 0 else "不是"
    if found := re.fullmatch(r"图中有几.(.+)？", question):
        return str(len(named(found[1], things)))
    if found := re.fullmatch(r"(.+)在(?:哪里|什么位置)？", question):
        (thing,) = named(found[1], things)
        return next(name for name, place in CELLS.items() if place == cell(thing, image))
    found = re.fullmatch(r"(.+)是什么？", question)
    (thing,) = meant(found[1] + ("物体" if found[1].endswith("的") else "的物体"), things, image)
    return next(chinese for chinese, name in ENGLISH.items() if name == thing["name"])


@pytest.mark.parametrize("split", ["train", "test_pairs"])
def test_every_answer_is_right(scenes, split):
    questions = scenes._json(f"vqa/questions_{split}_zh.json")["questions"]
    annotations = scenes._json(f"vqa/annotations_{split}_zh.json")["annotations"]
    assert [record["question_id"] for record in questions] == [record["question_id"] for record in annotations]
    for question, annotation in zip(questions, annotations, strict=True):
        image_id = question["image_id"]
        expected = answer(question["question"], scenes.objects[image_id], scenes.images[image_id])
        assert annotation["multiple_choice_answer"] == expected, question
