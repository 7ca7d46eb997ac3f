"""Pairs of kinds that are never seen together in training, and always in the harder test split."""

from itertools import combinations

from ofa.data.scenes import SceneConfig


def together(scenes, split):
    """For each image of the split, the pairs of kinds that it shows."""
    for image in scenes.instances[split]["images"]:
        names = sorted({thing["name"] for thing in scenes.objects[image["id"]]})
        yield set(combinations(names, 2))


def test_held_out_pairs_are_in_test_pairs_only(scenes):
    held_out = scenes.config.held_out_pairs
    assert len(held_out) == 12
    for split in ("train", "val", "test"):
        assert not any(pairs & held_out for pairs in together(scenes, split))
    assert all(pairs & held_out for pairs in together(scenes, "test_pairs"))


def test_all_kinds_and_most_other_pairs_are_seen_in_training(scenes):
    seen = set().union(*together(scenes, "train"))
    assert len({name for pair in seen for name in pair}) == 16
    assert len(seen) > 90  # of 108 in 250 images


def test_the_seed_chooses_the_pairs_and_no_kind_gives_most_of_them():
    choices = [SceneConfig(seed=seed).held_out_pairs for seed in range(5)]
    assert len(set(choices)) == 5 and SceneConfig(seed=2).held_out_pairs == choices[2]
    for pairs in choices:
        assert max(sum(kind.name in pair for pair in pairs) for kind in SceneConfig().used_kinds) <= 2
