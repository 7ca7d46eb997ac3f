"""Wrong captions and answers are wrong, and drawn from where they should be."""

import json
import random
from collections import Counter

import pytest

from ofa.errors import OFAError
from ofa.tasks.negatives import Negatives

CAPTIONS = [f"caption {i}" for i in range(20)]
OBJECTS = ["cat", "dog", "car"]
ANSWERS = {"color": ["red", "blue", "green"], "how many": ["0", "1", "2"], "other": ["cat", "dog", "tree"]}


@pytest.fixture
def negatives():
    return Negatives(CAPTIONS, OBJECTS, ANSWERS)


def test_captions_are_wrong_and_of_both_kinds(negatives):
    rng = random.Random(0)
    drawn = Counter(negatives.caption("a dog here", "dog&&tree", rng) for _ in range(2000))
    assert "a dog here" not in drawn
    exchanged = drawn["a cat here"] + drawn["a car here"]
    assert 300 < exchanged < 500, "0.4 of the draws, half of them for the object that the caption names"
    assert set(drawn) <= {*CAPTIONS, "a cat here", "a car here"}


def test_a_caption_of_the_pool_is_not_its_own_negative(negatives):
    rng = random.Random(0)
    assert all(negatives.caption(CAPTIONS[0], "", rng) != CAPTIONS[0] for _ in range(500))


def test_answers_are_wrong_and_mostly_of_the_same_type(negatives):
    rng = random.Random(0)
    drawn = Counter(negatives.answer("red", 1.0, rng) for _ in range(2000))
    assert set(drawn) == {"blue", "green", "cat", "dog"}, "the last one only stands in for the truth"
    assert drawn["blue"] + drawn["green"] > 1600


def test_unlikely_answers_get_any_negative(negatives):
    rng = random.Random(0)
    assert {negatives.answer("red", 0.1, rng) for _ in range(100)} == {"cat", "dog"}
    assert {negatives.answer("dog", 0.1, rng) for _ in range(100)} == {"cat", "tree"}


def test_the_only_answer_of_its_type_gets_any_negative():
    negatives = Negatives(CAPTIONS, OBJECTS, {"color": ["red"], "other": ["cat", "dog"]})
    rng = random.Random(0)
    assert {negatives.answer("red", 1.0, rng) for _ in range(50)} == {"cat"}


def test_numbers_are_off_by_one_or_other_numbers(negatives):
    rng = random.Random(0)
    drawn = {negatives.answer("2", 1.0, rng) for _ in range(300)}
    assert {"1", "3", "0"} <= drawn and "2" not in drawn
    assert "-1" not in {negatives.answer("0", 1.0, rng) for _ in range(300)}


def test_loading_a_folder(tmp_path, negatives):
    (tmp_path / "all_captions.txt").write_text("\n".join(CAPTIONS) + "\n")
    (tmp_path / "object.txt").write_text("\n".join(OBJECTS) + "\n")
    with pytest.raises(OFAError, match=r"lacks type2ans\.json"):
        Negatives.load(tmp_path)
    (tmp_path / "type2ans.json").write_text(json.dumps(ANSWERS))
    loaded = Negatives.load(tmp_path)
    ours, theirs = random.Random(5), random.Random(5)
    assert [loaded.caption("x", "", ours) for _ in range(9)] == [negatives.caption("x", "", theirs) for _ in range(9)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([], OBJECTS, ANSWERS), "one caption"),
        ((CAPTIONS, ["cat"], ANSWERS), "two object names"),
        ((CAPTIONS, OBJECTS, {"color": ["red", "blue"]}), "'other'"),
    ],
)
def test_too_little_to_choose_from(arguments, message):
    with pytest.raises(OFAError, match=message):
        Negatives(*arguments)
