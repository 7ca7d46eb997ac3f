"""Predictions of a small random network equal those of the original's evaluation."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from ofa.checkpoint import load_fairseq
from ofa.data.batch import Batch, pad
from ofa.model import OFAModel
from ofa.tasks import create
from ofa.tasks.boxes import Region


class NormalizedBatch(Batch):
    """A batch whose pictures are normalized already, as the recordings hold them."""

    @property
    def images_normalized(self):
        return self.images


@pytest.fixture(scope="module")
def outputs(golden):
    return np.load(golden / "generate_micro.npz")


@pytest.fixture(scope="module")
def net(golden):
    config, state = load_fairseq(golden / "ofa_micro_random.pt")
    net = OFAModel(config)
    net.load_state_dict(state)
    return net.eval()


def batch_of(outputs, group, references, prompts=None):
    def tensor(name):
        key = f"{group}/in/{name}"
        return torch.from_numpy(outputs[key]) if key in outputs else None

    source, images, mask = tensor("src_tokens"), tensor("patch_images"), tensor("patch_masks")
    nothing = torch.ones_like(source)
    return NormalizedBatch(
        ids=[str(i) for i in range(len(source))],
        source=source,
        previous=nothing,
        target=nothing,
        images=None if images is None else images.float(),
        image_mask=torch.zeros(len(source), dtype=torch.bool) if mask is None else mask,
        prompt=prompts,
        references=references,
    )


def prompts_of(outputs, group):
    prefix = torch.from_numpy(outputs[f"{group}/in/prefix_tokens"])
    return torch.cat([torch.zeros(len(prefix), 1, dtype=torch.long), prefix], dim=1)


def test_captions(outputs, net):
    task = create("caption")
    found = task.predict(net, batch_of(outputs, "caption", [None] * 3))
    assert [p.value for p in found] == outputs["caption/eval_strings"].tolist()
    for i, prediction in enumerate(found):
        assert prediction.score == pytest.approx(float(outputs[f"caption/beam5/{i}/0/score"]), abs=1e-3)
        assert len(prediction.alternatives) == 4 and prediction.alternatives[0][1] <= prediction.score


def test_boxes(outputs, net):
    """The original's evaluation divides by the resize ratios and does not clip."""
    ratios = json.loads(str(outputs["refcoco/eval_in"]))
    side = 512
    sizes = [(side / w, side / h) for w, h in zip(ratios["w_resize_ratios"], ratios["h_resize_ratios"], strict=True)]
    references = [Region(size, tuple(box), "") for size, box in zip(sizes, ratios["region_coords"], strict=True)]
    task = create("refcoco", {"constrain": False})
    search = replace(task.search, constraint_range=(58457, 59457))
    found = task.predict(net, batch_of(outputs, "refcoco", references), search)
    np.testing.assert_allclose([p.value.xyxy for p in found], outputs["refcoco/eval_boxes"], rtol=1e-4)
    assert task.score(found, references)["acc@0.5"] == outputs["refcoco/eval_scores"].mean()


def test_boxes_of_the_constrained_search_are_inside_the_picture(outputs, net):
    references = [Region((100, 80), None, "")] * 2
    for prediction in create("refcoco").predict(net, batch_of(outputs, "refcoco", references)):
        x0, y0, x1, y1 = prediction.value.xyxy
        assert 0 <= min(x0, x1) and max(x0, x1) <= 100 and 0 <= min(y0, y1) and max(y0, y1) <= 80
        assert prediction.value.score == prediction.score < 0


@pytest.mark.parametrize("prompt", ["prev_output", "none"])
def test_answers_of_the_beam(outputs, net, prompt):
    group = f"vqa_{prompt}"
    task = create("vqa", {"answers": outputs["vqa/candidates"].tolist(), "prompt_type": prompt})
    found = task.predict(net, batch_of(outputs, group, [{}, {}], prompts_of(outputs, group)))
    for i, prediction in enumerate(found):
        tokens = outputs[f"{group}/beam5_trie/{i}/0/tokens"].tolist()
        prefix = int((prompts_of(outputs, group)[i, 1:] != 1).sum())
        assert prediction.value == task.tokenizer.decode(tokens[prefix:]).strip()
        assert prediction.score == pytest.approx(float(outputs[f"{group}/beam5_trie/{i}/0/score"]), abs=1e-3)
        assert prediction.value in outputs["vqa/candidates"]


@pytest.mark.parametrize("prompt", ["prev_output", "none", "src"])
def test_answers_of_all_candidates(outputs, net, prompt):
    group = f"vqa_{prompt}"
    settings = {"answers": outputs["vqa/candidates"].tolist(), "inference": "all_candidates", "prompt_type": prompt}
    found = create("vqa", settings).predict(net, batch_of(outputs, group, [{}, {}], prompts_of(outputs, group)))
    assert [p.value for p in found] == outputs[f"{group}/allcand_answers"].tolist()
    best = -np.sort(-outputs[f"{group}/allcand_scores"], axis=1)
    for prediction, expected in zip(found, best, strict=True):
        scores = [prediction.score, *(score for _, score in prediction.alternatives)]
        np.testing.assert_allclose(scores, expected[:5], atol=1e-3)


def test_entailment(outputs, net):
    batch = batch_of(outputs, "snli_ve", ["yes", "no"])
    batch.prompt = pad([row[row != 1][:-1] for row in batch.source])
    found = create("snli_ve").predict(net, batch)
    assert [p.value for p in found] == outputs["snli_ve/answers"].tolist()
    np.testing.assert_allclose([p.score for p in found], outputs["snli_ve/allcand_scores"].max(1), atol=1e-3)


def test_grammar(outputs, net):
    batch = batch_of(outputs, "cola", ["yes", "no"], torch.from_numpy(outputs["cola/in/prev_output_tokens"]))
    found = create("cola").predict(net, batch)
    assert [p.value for p in found] == outputs["cola/hyp"].tolist()
    expected = torch.from_numpy(outputs["cola/answer_logits"]).log_softmax(1).max(1).values.tolist()
    assert [p.score for p in found] == pytest.approx(expected, abs=1e-3)


def test_image_classes(outputs, net):
    task = create("image_classify", {"labels": outputs["vqa/candidates"].tolist()})
    found = task.predict(net, batch_of(outputs, "image_classify", ["yes", "no"]))
    assert [p.value for p in found] == outputs["image_classify/answers"].tolist()
    np.testing.assert_allclose([p.score for p in found], outputs["image_classify/allcand_scores"].max(1), atol=1e-3)
