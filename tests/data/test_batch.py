"""Collation: padding, shared pictures, answer spaces, and the errors that name the sample."""

import pytest
import torch

from ofa.data.batch import IMAGENET, Sample, collate
from ofa.errors import OFAError


def sample(name="a", source=(0, 5, 2), target=(7, 2), **changes):
    target = torch.tensor(target)
    previous = torch.cat([torch.tensor([0]), target[:-1]])
    return Sample(id=name, source=torch.tensor(source), previous=previous, target=target, **changes)


def picture(value, height=4, width=4):
    return torch.full((3, height, width), value, dtype=torch.uint8)


def test_sequences_are_padded_right_with_one():
    batch = collate([sample("a", (0, 5, 6, 2), (7, 2)), sample("b", (0, 2), (8, 9, 2))])
    assert batch.source.tolist() == [[0, 5, 6, 2], [0, 2, 1, 1]]
    assert batch.target.tolist() == [[7, 2, 1], [8, 9, 2]]
    assert batch.previous.tolist() == [[0, 7, 1], [0, 8, 9]]
    assert batch.ids == ["a", "b"] and len(batch) == 2 and batch.n_tokens == 5


def test_samples_with_the_same_key_share_one_picture():
    one, two = picture(1), picture(2)
    batch = collate(
        [sample(image=one, image_key="x"), sample(image=two), sample(image=one, image_key="x"), sample(image=two)]
    )
    assert batch.images.shape == (3, 3, 4, 4)
    assert batch.image_index.tolist() == [0, 1, 0, 2]


def test_no_index_when_every_sample_has_its_own_picture():
    batch = collate([sample(image=picture(1), image_key=1), sample(image=picture(2), image_key=2)])
    assert batch.image_index is None and batch.image_mask.tolist() == [True, True]


def test_text_samples_are_masked_among_pictures():
    batch = collate([sample(), sample(image=picture(9)), sample()])
    assert batch.image_mask.tolist() == [False, True, False]
    assert batch.images.shape[0] == 1
    assert batch.image_index[1] == 0 and batch.image_index.max() < 1


def test_a_batch_of_text_has_no_pictures():
    batch = collate([sample(), sample()])
    assert batch.images is None and batch.images_normalized is None and batch.inputs()["images"] is None
    assert batch.image_mask.tolist() == [False, False]


def test_pictures_of_two_sizes_are_an_error_that_names_both():
    with pytest.raises(OFAError, match="'a' has 4x4 and 'b' has 5x4"):
        collate([sample("a", image=picture(1)), sample("b", image=picture(1, 4, 5))])


def test_two_normalizations_are_an_error():
    with pytest.raises(OFAError, match="normalized differently"):
        collate([sample("a", image=picture(1)), sample("b", image=picture(1), image_statistics=IMAGENET)])


def test_two_numbers_of_patches_are_an_error():
    with pytest.raises(OFAError, match="'a' and 'b' of one batch keep different numbers of patches"):
        collate([sample("a", image=picture(1), patch_sample=4), sample("b", image=picture(1))])
    batch = collate([sample("text"), sample("a", image=picture(1), patch_sample=4)])
    assert batch.inputs()["patch_sample"] == 4 and collate([sample("a", image=picture(1))]).patch_sample is None


def test_pictures_reach_the_network_channels_last():
    pixels = collate([sample(image=picture(1)), sample(image=picture(2))]).images_normalized
    assert pixels.is_contiguous(memory_format=torch.channels_last)


def test_normalization_and_blank_region():
    batch = collate([sample(image=picture(255), blank=(1, 0, 3, 2)), sample(image=picture(0))])
    first, second = batch.images_normalized
    assert second.eq(-1).all()
    assert first[:, 0:2, 1:3].eq(0).all() and first.eq(1).sum() == 3 * (16 - 4)


def test_imagenet_normalization_agrees_with_torchvision():
    from torchvision.transforms.v2.functional import normalize

    image = torch.randint(0, 256, (3, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    ours = collate([sample(image=image, image_statistics=IMAGENET)]).images_normalized[0]
    torch.testing.assert_close(ours, normalize(image.float() / 255, *map(list, IMAGENET)))


def test_allowed_ids_reach_the_selected_positions():
    limited = sample("a", target=(1, 7, 2), allowed=[[], torch.tensor([7, 8]), torch.tensor([2])])
    batch = collate([sample("free", target=(5, 2)), limited])
    selected = (batch.target.flatten() != 1).nonzero()[:, 0]
    mask = batch.allowed.mask(selected, size=10)
    assert [row.nonzero()[:, 0].tolist() for row in mask] == [list(range(10)), list(range(10)), [7, 8], [2]]


def test_allowed_ids_in_columns_of_a_smaller_output():
    batch = collate([sample("a", target=(7, 2), allowed=[[7, 8, 9], [2]])])
    column_of = torch.full((10,), -1)
    column_of[torch.tensor([2, 7, 9])] = torch.arange(3)
    mask = batch.allowed.mask(torch.tensor([0, 1]), size=3, columns=column_of[batch.allowed.token])
    assert mask.tolist() == [[False, True, True], [True, False, False]]


def test_prompts_default_to_bos():
    batch = collate([sample("a"), sample("b", prompt=torch.tensor([0, 5, 6]))])
    assert batch.prompt.tolist() == [[0, 1, 1], [0, 5, 6]]
    assert collate([sample("a")]).prompt is None


def test_code_mask_and_confidence():
    batch = collate([sample(confidence=0.5), sample(code_mask=True)])
    assert batch.code_mask.tolist() == [False, True]
    assert batch.confidence.tolist() == [0.5, 1.0]
    assert collate([sample()]).code_mask is None


def test_moving_a_batch_moves_every_tensor():
    batch = collate([sample(image=picture(1), blank=(0, 0, 1, 1), allowed=[[7], [2]], prompt=torch.tensor([0]))])
    moved = batch.to("meta")
    for name in ("source", "previous", "target", "image_mask", "images", "blank", "confidence", "prompt"):
        assert getattr(moved, name).device.type == "meta", name
    assert moved.allowed.position.device.type == moved.allowed.token.device.type == "meta"
    assert moved.ids == batch.ids


def test_no_samples_is_an_error():
    with pytest.raises(OFAError, match="no samples"):
        collate([])
