"""Question answering against the original's data set."""

import json
import pickle
import random

import pytest
import torch

from ofa.data.batch import collate
from ofa.errors import OFAError
from ofa.tasks import Prediction, create
from ofa.tasks.answers import read_answers
from ofa.tasks.vqa import parse_answers


@pytest.mark.parametrize("prompt", ["none", "src", "prev_output"])
def test_samples_with_an_answer_list_equal_the_original(recorded, rows, compare, prompt):
    run = f"vqa_{prompt}_object_trie"
    task = create("vqa", recorded[run]["kwargs"] | {"answers": list(recorded["trie_candidates"])})
    samples = compare(task, rows("vqa"), run)
    for sample, theirs in zip(samples, recorded[run]["samples"], strict=True):
        assert sample.reference == pytest.approx(theirs["ref_dict"])
    check_mask(collate(samples), recorded[run]["collated"])


def check_mask(batch, theirs):
    """The batch's mask at the positions that have a loss."""
    counts = torch.tensor(theirs["constraint_masks"]["true_count_per_row"])
    positions = (batch.target.flatten() != 1).nonzero()[:, 0]
    mask = batch.allowed.mask(positions, theirs["constraint_masks"]["shape"][-1])
    assert mask.sum(1).tolist() == counts.flatten()[positions].tolist()
    assert batch.target.tolist() == theirs["target"]
    assert batch.prompt[:, 1:].tolist() == theirs["prefix_tokens"]


def test_samples_without_an_answer_list_equal_the_original(recorded, rows, compare):
    run = "vqa_prev_output_plain_480"
    task = create("vqa", {"add_object": False} | recorded[run]["kwargs"])
    assert all(sample.allowed is None for sample in compare(task, rows("vqa"), run))


def test_answer_list_tokens_equal_the_original(recorded):
    task = create("vqa", {"answers": list(recorded["trie_candidates"])})
    assert [ids.tolist() for ids in task.space.ids] == list(recorded["trie_candidates"].values())


def test_a_row_without_answers_can_be_predicted(rows):
    row = {"question": "What is it", "image": rows("vqa")[0]["image"]}
    sample = create("vqa", {"answers": ["yes", "no"]}).sample(row, False, random.Random(0))
    assert sample.reference == {} and sample.target[-1] == 2 and (sample.target[:-1] == 1).all()


@pytest.mark.parametrize("text", ["yes", "0.6|yes", "high|!+yes", "1.0|!+a&&b"])
def test_malformed_answers_are_an_error(text):
    with pytest.raises(OFAError, match="must have the form"):
        parse_answers(text)


def test_score_is_the_mean_confidence():
    task = create("vqa")
    found = [Prediction("1", "no", 0.0), Prediction("2", "maybe", 0.0)]
    assert task.score(found, [{"no": 0.6, "yes": 1.0}, {"yes": 1.0}]) == {"accuracy": pytest.approx(0.3)}


def test_answer_files(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps({"no": 1, "yes": 0}))
    (tmp_path / "b.json").write_text(json.dumps(["x", "y z"]))
    (tmp_path / "c.txt").write_text("yes\nno\n")
    (tmp_path / "d.pkl").write_bytes(pickle.dumps({"two": 1, "one": 0}))
    files = [tmp_path / name for name in ("a.json", "b.json", "c.txt", "d.pkl")]
    assert [read_answers(f) for f in files] == [("yes", "no"), ("x", "y z"), ("yes", "no"), ("one", "two")]


def test_a_pickle_of_code_is_refused(tmp_path):
    class Bomb:
        def __reduce__(self):
            return open, (str(tmp_path / "exploded"), "w")

    (tmp_path / "bad.pkl").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(OFAError, match="could run code"):
        read_answers(tmp_path / "bad.pkl")
    assert not (tmp_path / "exploded").exists()


def test_settings_that_contradict_are_an_error():
    with pytest.raises(OFAError, match="needs answers"):
        create("vqa", {"inference": "all_candidates"})
    with pytest.raises(OFAError, match="not both"):
        create("vqa", {"answers": ["yes"], "answers_file": "x"})
