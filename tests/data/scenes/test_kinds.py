"""Every kind is named as the emoji package names it, and has its picture."""

from dataclasses import replace

import pytest
from PIL import ImageOps

from ofa.data.scenes.artwork import sprite
from ofa.data.scenes.kinds import KINDS, check_names
from ofa.errors import OFAError


def test_all_names_are_known():
    check_names()
    assert len(KINDS) == 80
    for names in ({kind.name for kind in KINDS}, {kind.chinese for kind in KINDS}, {kind.code for kind in KINDS}):
        assert len(names) == 80


@pytest.mark.parametrize("change", [{"name": "kitten"}, {"chinese": "狗"}, {"code": "1F415"}, {"code": "41"}])
def test_a_wrong_name_is_refused(change):
    (cat,) = (kind for kind in KINDS if kind.name == "cat")
    with pytest.raises(OFAError, match=f"'{change.get('name', 'cat')}'"):
        check_names((replace(cat, **change),))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_the_picture_is_as_large_as_asked_and_can_be_mirrored(kind):
    made, mirrored = sprite(kind.name, 40, False), sprite(kind.name, 40, True)
    width, height = made.size
    assert 36 <= (width * height) ** 0.5 <= 44 and made.area > 0.15 * width * height
    assert mirrored.size == made.size and mirrored.area == made.area
    assert ImageOps.mirror(mirrored.color).tobytes() == made.color.tobytes()


def test_plurals():
    plurals = {kind.name: kind.many for kind in KINDS}
    expected = {"cat": "cats", "bus": "buses", "fish": "fish", "butterfly": "butterflies", "key": "keys"}
    expected |= {"fox": "foxes", "church": "churches", "snowman": "snowmen", "monkey": "monkeys", "cactus": "cactuses"}
    assert expected.items() <= plurals.items()
    assert {kind.name: kind.one for kind in KINDS}["apple"] == "an apple"
