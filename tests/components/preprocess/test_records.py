"""Records say what a row holds; a value that cannot be read is refused with what is wrong."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.preprocess.records import COLUMNS, count_words, describe_row, parse_answers, parse_box, parse_boxes

NUMBERS = st.floats(-1e4, 1e4).map(lambda number: round(number, 2))
BOXES = st.tuples(NUMBERS, NUMBERS, NUMBERS, NUMBERS)
NAMES = st.text(st.characters(blacklist_characters="&|\t\n\r", blacklist_categories=["Cs"]), min_size=1, max_size=9)


@given(st.lists(st.tuples(BOXES, st.integers(0, 99), NAMES), min_size=1, max_size=5))
def test_objects_are_read_as_they_were_written(objects):
    text = "&&".join(",".join(map(str, (*box, number, name))) for box, number, name in objects)
    assert parse_boxes(text) == [(box, str(number), name) for box, number, name in objects]
    record = describe_row("detection", {"boxes": text})
    assert record["boxes"] == len(objects)
    assert record["x0"] == min(box[0] for box, _, _ in objects)
    assert record["y1"] == max(box[3] for box, _, _ in objects)
    assert record["smallest_side"] == min(min(box[2] - box[0], box[3] - box[1]) for box, _, _ in objects)


@given(st.lists(st.tuples(st.floats(0, 1), NAMES), min_size=1, max_size=5))
def test_answers_are_read_as_they_were_written(answers):
    text = "&&".join(f"{confidence}|!+{answer}" for confidence, answer in answers)
    assert parse_answers(text) == answers
    record = describe_row("vqa", {"question": "what is it", "answers": text})
    assert record["answers"] == len(answers)
    assert record["lowest_confidence"] == min(answers)[0]
    assert record["highest_confidence"] == max(answers)[0]


@pytest.mark.parametrize("text", ["", "1,2,3", "1,2,3,4,5", "1,2,3,x", "nan,1,2,3", "inf,1,2,3", "1;2;3;4"])
def test_a_box_that_is_not_four_numbers_is_refused(text):
    with pytest.raises(ValueError, match="four numbers"):
        parse_box(text)


@pytest.mark.parametrize("text", ["", "yes", "1.0|yes", "a|!+yes", "1.0|!+yes&&no", "&&"])
def test_answers_of_another_form_are_refused(text):
    with pytest.raises(ValueError, match="confidence"):
        parse_answers(text)


@pytest.mark.parametrize("text", ["", "1,2,3,4", "1,2,3,4,5", "1,2,3,4,5,a&&", "a,b,c,d,1,dog"])
def test_objects_of_another_form_are_refused(text):
    with pytest.raises(ValueError, match="is not"):
        parse_boxes(text)


@pytest.mark.parametrize(
    "text, words", [("a cat", 2), ("  a\u00a0 cat ", 2), ("", 0), ("一只猫", 3), ("一只cat", 3), ("don't stop", 2)]
)
def test_words_are_counted_by_spaces_and_chinese_by_characters(text, words):
    assert count_words(text) == words


@pytest.mark.parametrize(
    "row, kind_of_answer",
    [("1.0|!+yes&&0.3|!+2", "yes/no"), ("0.3|!+yes&&1.0|!+12", "number"), ("1.0|!+red", "other"), ("", None)],
)
def test_the_most_certain_answer_says_the_sort_of_answer(row, kind_of_answer):
    assert describe_row("vqa", {"question": "?", "answers": row}).get("answer_type") == kind_of_answer


def test_a_pretraining_row_is_described_by_its_type():
    row = {"caption": "a cat", "question": "what?", "answers": "1,2,3,4", "dataset": "coco", "objects": ""}
    grounding = describe_row("vision_language", row | {"type": "visual_grounding"})
    assert (grounding["x1"], grounding["caption_words"]) == (3, 2)
    assert "question_words" not in grounding
    with pytest.raises(ValueError, match="confidence"):
        describe_row("vision_language", row | {"type": "qa"})
    assert set(grounding) <= set(COLUMNS["vision_language"])
