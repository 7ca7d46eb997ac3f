"""Inputs that are too large are refused, never read as something else."""

import pytest
import torch

from ofa.errors import OFAError


@pytest.mark.parametrize("size", [(64, 688), (688, 64)])
def test_images_of_more_than_42_patches_a_side_are_refused(build, size):
    with pytest.raises(OFAError, match="672 pixels"):
        build().encode(torch.tensor([[0, 5, 2]]), torch.zeros(1, 3, *size))


def test_images_of_42_patches_a_side_work(build):
    with torch.inference_mode():
        encoded = build().encode(torch.tensor([[0, 5, 2]]), torch.zeros(1, 3, 32, 672))
    assert encoded.states.shape[1] == 2 * 42 + 3


def test_images_and_texts_that_do_not_belong_together_are_refused(build):
    with pytest.raises(ValueError, match="2 images for 1 texts"):
        build().encode(torch.tensor([[0, 5, 2]]), torch.zeros(2, 3, 32, 32))
    with pytest.raises(OFAError, match="cannot draw 5 of the 4 patches"):
        build().encode(torch.tensor([[0, 5, 2]]), torch.zeros(1, 3, 32, 32), patch_sample=5)


def test_patches_are_drawn_without_repetition(build):
    texts, images = torch.tensor([[0, 5, 2], [0, 5, 2]]), torch.rand(2, 3, 96, 96)
    with torch.inference_mode():
        sampled = build().encode(texts, images, patch_sample=20).positions[:, :20]
    for positions in sampled:
        assert len(positions.unique(dim=0)) == 20
    assert not torch.equal(*sampled)


def test_long_texts_are_refused(build):
    net = build()
    with torch.inference_mode():
        encoded = net.encode(torch.full((1, 1024), 5))
        net.decode(torch.full((1, 1024), 5), encoded, features_only=True)
        with pytest.raises(OFAError, match="1025 tokens.*at most 1024"):
            net.encode(torch.full((1, 1025), 5))
        with pytest.raises(OFAError, match="1025 tokens.*at most 1024"):
            net.decode(torch.full((1, 1025), 5), encoded)


def test_an_image_of_1024_codes_fits(build):
    net = build(code_image_size=256)
    codes = torch.tensor([True])
    with torch.inference_mode():
        encoded = net.encode(torch.tensor([[0, 5, 2]]))
        assert net.decode(torch.full((1, 1025), 50300), encoded, codes, features_only=True).isfinite().all()
        with pytest.raises(OFAError, match="1026 tokens"):
            net.decode(torch.full((1, 1026), 50300), encoded, codes)
