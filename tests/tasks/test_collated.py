"""Batches of every task hold what the original's collater put together."""

import random

import pytest
import torch

from ofa.data.batch import collate
from ofa.tasks import create

# Run of the original -> our task, and settings that its data set did not need.
RUNS = {
    "caption_train_480": ("caption", {}),
    "caption_valid_480": ("caption", {}),
    "caption_train_scst_256_imagenet": ("caption", {}),
    "refcoco_512": ("refcoco", {}),
    "refcoco_480": ("refcoco", {}),
    "refcoco_384": ("refcoco", {}),
    "vqa_none_object_trie": ("vqa", {"answers": "recorded"}),
    "vqa_src_object_trie": ("vqa", {"answers": "recorded"}),
    "vqa_prev_output_object_trie": ("vqa", {"answers": "recorded"}),
    "vqa_prev_output_plain_480": ("vqa", {"add_object": False}),
    "snli_ve_prev_output_caption1": ("snli_ve", {}),
    "snli_ve_prev_output_caption0": ("snli_ve", {}),
    "image_gen": ("image_gen", {}),
    "image_classify_val_480": ("image_classify", {"labels": "recorded"}),
    "ocr_480": ("ocr", {"simplify": True}),
    "gigaword_noise0": ("gigaword", {}),
    "gigaword_noise0.2": ("gigaword", {}),
    **{
        f"{name}_{prompt}": (name, {})
        for name in ("cola", "sst2", "mnli", "mrpc", "qqp", "qnli", "rte")
        for prompt in ("src", "none", "prev_output")
    },
}
OTHERS = {
    "image_gen_text_only": "its target is made up; tests/tasks/test_image_gen.py compares the source",
    "pretrain_train": "several tables; tests/tasks/test_vision_language.py",
    "pretrain_train_seed100": "several tables; tests/tasks/test_vision_language.py",
}


def test_every_recorded_batch_is_compared(recorded):
    runs = {name for name, run in recorded.items() if isinstance(run, dict) and "samples" in run}
    assert runs == set(RUNS) | set(OTHERS)


@pytest.mark.parametrize("run", RUNS)
def test_batches_equal_the_originals(recorded, rows, run):
    if run == "ocr_480":
        pytest.importorskip("zhconv")
    name, changes = RUNS[run]
    answers = [*recorded["trie_candidates"], *(["rugby ball"] if name == "image_classify" else [])]
    changes = {key: answers if value == "recorded" else value for key, value in changes.items()}
    kwargs = {key: value for key, value in recorded[run]["kwargs"].items() if key not in ("code_dict_size", "num_bins")}
    task = create(name, kwargs | changes)
    table = rows(task.table)
    train = "valid" not in run and name != "image_classify"
    samples = [task.sample(table[i], train, random.Random(i)) for i in range(len(recorded[run]["samples"]))]
    batch, theirs = collate(samples), recorded[run]["collated"]

    assert len(batch) == theirs["nsentences"]
    # The original's references of evaluation and of SCST are targets as well.
    assert batch.target.tolist() == theirs["target"]
    assert batch.n_tokens == theirs["ntokens"]
    net_input = theirs["net_input"]
    assert batch.source.tolist() == net_input["src_tokens"]
    assert (batch.source != 1).sum(1).tolist() == net_input["src_lengths"]
    if run == "gigaword_noise0.2":
        assert batch.previous.shape == torch.tensor(net_input["prev_output_tokens"]).shape
    else:
        assert batch.previous.tolist() == net_input["prev_output_tokens"]
    if "patch_images" in net_input:
        pixels = batch.images_normalized
        index = range(len(batch)) if batch.image_index is None else batch.image_index
        assert list(pixels[index].shape) == net_input["patch_images"]["shape"]
        assert str(pixels.dtype) == net_input["patch_images"]["dtype"]
        assert batch.image_mask.tolist() == net_input["patch_masks"]
    if "code_masks" in net_input:
        assert batch.code_mask.tolist() == net_input["code_masks"]
    if theirs.get("conf") is not None:
        assert batch.confidence.tolist() == pytest.approx(theirs["conf"])
    if "id" in theirs and name != "image_classify":
        assert batch.ids == [str(i) for i in theirs["id"]]
    if "prefix_tokens" in theirs:
        assert batch.prompt[:, 1:].tolist() == theirs["prefix_tokens"]
    if "decoder_prompts" in theirs:
        # Recorded as text, of which the beginning was kept.
        prompts = [str(row[row != 1].tolist()) for row in batch.prompt]
        assert [text[:60] for text in prompts] == theirs["decoder_prompts"]
    if theirs.get("constraint_masks") is None:
        assert batch.allowed is None
    else:
        positions = (batch.target.flatten() != 1).nonzero()[:, 0]
        counts = torch.tensor(theirs["constraint_masks"]["true_count_per_row"]).flatten()
        mask = batch.allowed.mask(positions, theirs["constraint_masks"]["shape"][-1])
        assert mask.sum(1).tolist() == counts[positions].tolist()
