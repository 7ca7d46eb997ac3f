"""VQA's types of questions and answers."""

import pytest

from ofa.data.question_types import OTHER, QUESTION_TYPES, answer_type, question_type


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("What color is the cat?", "what color is the"),
        ("what color is her hat", "what color is"),
        ("How many people are in the room?", "how many people are in"),
        ("How many?", "how many"),
        ("Is there a dog left of the cat?", "is there a"),
        ("Isn't it?", OTHER),
        ("图中有几只猫？", "几"),
        ("有没有猫？", "有没有"),
        ("猫在什么位置？", "什么位置"),
        ("左边是什么？", "什么"),
        ("猫在狗的左边吗？", "吗"),
        ("", OTHER),
    ],
)
def test_the_longest_beginning_counts(question, kind):
    assert question_type(question) == kind


def test_there_are_as_many_as_in_vqa():
    assert len(QUESTION_TYPES) == 64


@pytest.mark.parametrize(
    ("answer", "kind"),
    [("yes", "yes/no"), ("2", "number"), ("2.5", "number"), ("1.2.3", "other"), ("red", "other"), ("", "other")]
    + [("没有", "yes/no"), ("左边", "other")],
)
def test_an_answer_says_its_type(answer, kind):
    assert answer_type(answer) == kind
