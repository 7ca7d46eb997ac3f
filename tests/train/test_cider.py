"""The CIDEr-D reward against recorded scores of the original."""

import json
import pickle

import pytest

from ofa.errors import OFAError
from ofa.train.cider import CiderD, leave_one_out


@pytest.fixture(scope="module")
def recorded(golden):
    return json.loads((golden / "scst_cider.json").read_text())


@pytest.mark.parametrize("source", ["corpus", "file"])
def test_scores_and_rewards_are_the_originals(golden, recorded, source):
    file = golden / "cider_df_toy.p"
    scorer = CiderD.load(file) if source == "file" else CiderD.from_corpus(recorded["df_corpus"])
    group = len(recorded["gen"]) // len(recorded["refs"])
    scores = [scorer.score(text, recorded["refs"][i // group]) for i, text in enumerate(recorded["gen"])]
    assert scores == pytest.approx(recorded["cider_scores"], abs=1e-9)
    rewards = [reward for i in range(0, len(scores), group) for reward in leave_one_out(scores[i : i + group])]
    assert rewards == pytest.approx(recorded["reward"], abs=1e-9)


def test_a_file_of_another_kind_is_named(tmp_path):
    (tmp_path / "answers.pkl").write_bytes(pickle.dumps({"yes": 0}))
    with pytest.raises(OFAError, match="answers.pkl holds no document frequencies"):
        CiderD.load(tmp_path / "answers.pkl")


def test_a_perfect_caption_scores_ten_and_a_foreign_one_zero():
    corpus = [["a cat on a mat"], ["two dogs in snow"], ["red bus by the sea"]]
    scorer = CiderD.from_corpus(corpus)
    assert scorer.score("a cat on a mat", corpus[0]) == pytest.approx(10.0)
    assert scorer.score("xylophone", corpus[0]) == 0.0


def test_rewards_of_a_picture_sum_to_zero():
    assert leave_one_out([1.0, 2.0, 6.0]) == pytest.approx([-3.0, -1.5, 4.5])
    assert leave_one_out([4.0]) == [0.0]
