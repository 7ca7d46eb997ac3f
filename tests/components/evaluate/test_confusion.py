"""The confusion matrix counts every row once, under its true answer, and is left out where answers do not repeat."""

import json

import pytest
from kfp import dsl

from components.evaluate.confusion import OTHER, confusion
from components.evaluate.record import PREDICTIONS


@pytest.fixture
def counted(tmp_path):
    """A function from pairs of references and prediction to their matrix."""

    def made(*pairs, **more):
        lines = [json.dumps({"references": references, "prediction": found}) + "\n" for references, found in pairs]
        (tmp_path / PREDICTIONS).write_text("".join(lines))
        return confusion(tmp_path, **more)

    return made


def test_rows_are_true_answers_and_columns_what_was_said(counted):
    pairs = [({"no": 1.0, "yes": 0.3}, "no")] * 3 + [({"yes": 1.0}, "no")] * 2 + [({"2": 1.0}, "two")]
    answers, matrix = counted(*pairs)
    assert answers == ["2", "no", "yes", OTHER]
    assert matrix == [[0, 0, 0, 1], [0, 3, 0, 0], [0, 2, 0, 0], [0, 0, 0, 0]]
    shown = dsl.ClassificationMetrics()
    shown.log_confusion_matrix(answers, matrix)
    (row,) = [row for number, row in enumerate(shown.metadata["confusionMatrix"]["rows"]) if number == 1]
    assert row["row"] == [0, 3, 0, 0]


def test_rare_answers_share_a_row(counted):
    pairs = [("a", "a")] * 5 + [("b", "a")] * 4 + [("c", "d"), ("d", "d")]
    answers, matrix = counted(*pairs, most=2)
    assert answers == ["a", "b", OTHER] and matrix == [[5, 0, 0], [4, 0, 0], [0, 0, 2]]
    assert sum(map(sum, matrix)) == len(pairs)


def test_labels_are_answers_captions_boxes_and_summaries_are_not(counted):
    assert counted(("entailment", "neutral"), ("neutral", "neutral"))
    assert counted((["a cat", "one cat"], "a cat")) is None
    assert counted(([[0.0, 0.0, 1.0, 1.0]], [0.0, 0.0, 1.0, 1.0])) is None
    assert counted(*[(f"summary {number}", "x") for number in range(40)]) is None
