"""Visual entailment against the original's data set."""

import random

import pytest

from ofa.errors import OFAError
from ofa.tasks import Prediction, create


@pytest.mark.parametrize("caption", [0, 1])
def test_samples_equal_the_original(recorded, rows, compare, caption):
    run = f"snli_ve_prev_output_caption{caption}"
    samples = compare(create("snli_ve", recorded[run]["kwargs"]), rows("snli_ve"), run)
    assert [s.reference for s in samples] == [next(iter(t["ref_dict"])) for t in recorded[run]["samples"]]


def test_an_unknown_label_is_an_error(rows):
    with pytest.raises(OFAError, match="'-' is not one of contradiction, entailment, neutral"):
        create("snli_ve").sample(dict(rows("snli_ve")[0]) | {"label": "-"}, True, random.Random(0))


def test_inference_needs_no_label(rows):
    row = {name: value for name, value in rows("snli_ve")[0].items() if name != "label"}
    sample = create("snli_ve").sample(row, False, random.Random(0))
    assert sample.reference is None and sample.target[-1] == 2


def test_score():
    found = [Prediction("a", "yes", 0.0), Prediction("b", "no", 0.0)]
    assert create("snli_ve").score(found, ["yes", "maybe"]) == {"accuracy": 0.5}


def test_no_prompt_in_chinese_is_said(rows):
    with pytest.raises(OFAError, match="'snli_ve' has no prompt in chinese"):
        create("snli_ve", {"language": "chinese"}).sample(rows("snli_ve")[0], True, random.Random(0))
