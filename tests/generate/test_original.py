"""The same outputs and scores as the original's search: recorded runs of a small random network."""

import json

import numpy as np
import pytest
import torch

from ofa.checkpoint import load_fairseq
from ofa.generate import SearchConfig, Trie, generate, score_candidates
from ofa.model import OFAModel
from tests.generate.networks import Inputs

FIELDS = {
    "beam": "beam",
    "max_len_a": "max_len_a",
    "max_len_b": "max_len_b",
    "min_len": "min_len",
    "lenpen": "length_penalty",
    "unnormalized": "unnormalized",
    "unkpen": "unk_penalty",
    "temperature": "temperature",
    "no_repeat_ngram_size": "no_repeat_ngram",
    "diverse_beam_groups": "diverse_groups",
}
CODES, BINS = (50265, 58457), (58457, 59457)
RUNS = [
    "caption/beam5",
    "caption/beam5_nongram_len40",
    "caption/greedy",
    "caption/beam5_unnormalized",
    "caption/beam6_lenpen0.7_max32",
    "caption/beam10_huge",
    "caption/beam5_minlen8_unkpen1",
    "caption/beam5_max_len_a",
    "caption/beam3_diverse_groups",
    "caption_mixed/beam5",
    "refcoco/beam5",
    "refcoco/beam5_ngram3",
    "refcoco/beam5_constraint_range_bins",
    "refcoco/beam5_constraint_range_bins_zero_shot",
    *(f"vqa_{p}/beam5_{r}" for p in ("prev_output", "none", "src") for r in ("trie", "trie_normalized")),
    *(f"vqa_{p}/beam5_unconstrained_len10" for p in ("prev_output", "none", "src")),
    "vqa_none/beam20_trie_zero_shot",
    "image_gen/beam3_len20",
    "image_gen/sampling_topk1_beam2_len12",
]


@pytest.fixture(scope="module")
def recorded(golden):
    return np.load(golden / "generate_micro.npz")


@pytest.fixture(scope="module")
def networks(golden):
    def network(code_image_size):
        config, state = load_fairseq(golden / "ofa_micro_random.pt", code_image_size=code_image_size)
        net = OFAModel(config)
        net.load_state_dict(state)
        return net.eval()

    return {128: network(128), 256: network(256)}


def inputs_of(recorded, group, codes=False):
    def tensor(name):
        key = f"{group}/in/{name}"
        return torch.from_numpy(recorded[key]) if key in recorded else None

    source, images, prefix = tensor("src_tokens"), tensor("patch_images"), tensor("prefix_tokens")
    return Inputs(
        source=source,
        images=None if images is None else images.float(),
        image_mask=tensor("patch_masks"),
        prompt=None if prefix is None else torch.cat([torch.zeros_like(source[:, :1]), prefix], dim=1),
        code_mask=torch.ones(len(source), dtype=torch.bool) if codes else None,
    )


def candidates_of(recorded):
    return [recorded[f"vqa/candidate_ids/{i}"].tolist() for i in range(len(recorded["vqa/candidates"]))]


def config_of(recorded, run):
    """The settings of a run; the README of the recordings holds what its arguments leave out."""
    if run == "image_gen/sampling_topk1_beam2_len12":
        arguments = {"beam": 2, "min_len": 12, "max_len_b": 12, "gen_code": True}
    else:
        arguments = json.loads(str(recorded[f"{run}/args"]))
    codes = arguments.pop("gen_code", False)
    settings = {"max_len_b": 200} | {FIELDS[name]: value for name, value in arguments.items()}
    if "constraint_range_bins" in run:
        settings["constraint_range"] = BINS
    if codes:
        settings["constraint_range"] = CODES
    if "sampling" in run:
        settings |= {"sampling": True, "top_k": 1}
    return SearchConfig(**settings, zero_shot="zero_shot" in run), codes


def test_every_recorded_run_is_tested(recorded):
    assert {key.rsplit("/", 3)[0] for key in recorded if key.endswith("/score")} == set(RUNS)


@pytest.mark.parametrize("run", RUNS)
def test_same_outputs_and_scores(recorded, networks, run):
    group = run.split("/")[0]
    config, codes = config_of(recorded, run)
    trie = Trie(candidates_of(recorded)) if "trie" in run else None
    net = networks[256 if codes else 128]
    results = generate(net, inputs_of(recorded, group, codes), config, trie)
    for i, hypotheses in enumerate(results):
        wanted = sorted({key.split("/")[3] for key in recorded if key.startswith(f"{run}/{i}/")}, key=int)
        assert len(hypotheses) == len(wanted)
        for j, hypothesis in zip(wanted, hypotheses, strict=True):
            at = f"{run}/{i}/{j}"
            assert hypothesis.tokens.tolist() == recorded[f"{at}/tokens"].tolist(), at
            assert hypothesis.score == pytest.approx(float(recorded[f"{at}/score"]), abs=1e-4), at
            np.testing.assert_allclose(
                hypothesis.positional_scores, recorded[f"{at}/positional_scores"], atol=1e-4, err_msg=at
            )


@pytest.mark.parametrize("group", ["vqa_prev_output", "vqa_none", "vqa_src", "image_classify"])
def test_same_scores_of_all_candidates(recorded, networks, group):
    scores = score_candidates(networks[128], inputs_of(recorded, group), candidates_of(recorded))
    np.testing.assert_allclose(scores, recorded[f"{group}/allcand_scores"], atol=1e-4)


def test_same_scores_of_entailment(recorded, networks):
    inputs = inputs_of(recorded, "snli_ve")
    prompt = inputs.source.masked_fill(inputs.source == 2, 1)
    no, yes, maybe = [117], [4420], [2085]
    scores = score_candidates(networks[128], inputs, [no, yes, maybe], prompt)
    np.testing.assert_allclose(scores, recorded["snli_ve/allcand_scores"], atol=1e-4)


def test_same_answers_where_the_prompt_is_the_source(recorded, networks):
    prompt = torch.from_numpy(recorded["cola/in/prev_output_tokens"])
    answers = [[i] for i in recorded["cola/answer_ids"].tolist()]
    scores = score_candidates(networks[128], inputs_of(recorded, "cola"), answers, prompt)
    wanted = torch.from_numpy(recorded["cola/answer_logits"]).log_softmax(1)
    torch.testing.assert_close(scores, wanted, atol=1e-4, rtol=0)
