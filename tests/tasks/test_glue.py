"""The GLUE tasks against the original's data sets."""

import random

import pytest

from ofa.errors import OFAError
from ofa.tasks import Prediction, create
from tests.tasks.recorded import check_sample

TASKS = ("cola", "sst2", "mnli", "mrpc", "qqp", "qnli", "rte")


@pytest.mark.parametrize("prompt", ["src", "none", "prev_output"])
@pytest.mark.parametrize("name", TASKS)
def test_samples_equal_the_original(recorded, rows, name, prompt):
    task = create(name, recorded[f"{name}_{prompt}"]["kwargs"])
    table, samples = rows(name), recorded[f"{name}_{prompt}"]["samples"]
    for i, theirs in enumerate(samples):
        ours = task.sample(table[i], True, random.Random(0))
        check_sample(ours, theirs)
        assert ours.reference == next(iter(theirs["ref_dict"]))
        assert ours.prompt.tolist() == theirs["prev_output_tokens"]


def test_a_label_of_another_task_is_an_error(rows):
    with pytest.raises(OFAError, match="'2' is not one of 0, 1"):
        create("cola").sample({"sentence1": "x", "label": "2"}, True, random.Random(0))


def test_a_row_without_label_can_be_predicted():
    sample = create("rte").sample({"sentence1": "x", "sentence2": "y"}, False, random.Random(0))
    assert sample.reference is None and (sample.target == 1).all()


def test_each_task_reports_its_measure():
    found = [Prediction(str(i), value, 0.0) for i, value in enumerate(["yes", "yes", "no", "no"])]
    truth = ["yes", "no", "no", "no"]
    assert create("cola").score(found, truth) == {"mcc": pytest.approx(1 / 3**0.5), "accuracy": 0.75}
    assert create("mrpc").score(found, truth) == {"accuracy": 0.75, "f1": pytest.approx(2 / 3)}
    assert create("rte").score(found, truth) == {"accuracy": 0.75}
