"""Comparison of a sample with what the original's data sets recorded."""

import pytest

from ofa.data.batch import collate


def check_sample(ours, theirs: dict, pixels: bool = True) -> None:
    """Compare every field that the original recorded; `pixels` only where no randomness is in them."""
    assert ours.source.tolist() == theirs["source"]
    assert ours.target.tolist() == theirs["target"]
    assert ours.previous.tolist() == theirs["prev_output_tokens"]
    if "id" in theirs:
        assert ours.id == str(theirs["id"])
    if "conf" in theirs:
        assert ours.confidence == pytest.approx(theirs["conf"][0])
    if "decoder_prompt" in theirs:
        assert ours.prompt.tolist() == theirs["decoder_prompt"]
    if "constraint_mask" in theirs:
        assert [sorted(ids.tolist()) for ids in ours.allowed] == theirs["constraint_mask"]["true_ids_per_row"]
    if "code_mask" in theirs:
        assert ours.code_mask == theirs["code_mask"][0]
    if "patch_mask" in theirs:
        assert (ours.image is not None) == theirs["patch_mask"][0]
    if ours.image is None:
        return
    assert list(ours.image.shape) == theirs["patch_image"]["shape"]
    if pixels:
        recorded, values = theirs["patch_image"], collate([ours]).images_normalized.flatten()
        assert values[recorded["flat_index"]].tolist() == pytest.approx(recorded["flat_value"], abs=1e-6)
        for statistic in ("mean", "std", "min", "max"):
            assert getattr(values, statistic)().item() == pytest.approx(recorded[statistic], abs=1e-5)
