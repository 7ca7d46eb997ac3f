"""Descriptions that mean exactly one object of a scene."""

from collections.abc import Iterator
from random import Random

from ofa.data.scenes.composition import Placed, Scene
from ofa.data.scenes.meaning import Description, InCell, Named, Outermost, Sized, Toward, alone_of_kind, referent
from ofa.data.scenes.relations import CELLS, Direction

# How often people tell an object in each way, for an object that is alone of its kind and for one of several.
_WEIGHTS_ALONE = {Named: 40, Toward: 22, InCell: 12, Outermost: 13, Sized: 13}
_WEIGHTS_AMONG = {Toward: 30, InCell: 20, Outermost: 30, Sized: 20}
_CORNERS_AND_CENTER = tuple(cell for cell in CELLS if abs(cell[0]) == abs(cell[1]))


def descriptions(target: Placed, scene: Scene) -> dict[type, list[Description]]:
    """All descriptions that mean `target` and nothing else, by sort of trait."""
    found: dict[type, list[Description]] = {}
    for description in _attempts(target, scene):
        if referent(description, scene) is target:
            found.setdefault(type(description.trait), []).append(description)
    return found


def choose(found: dict[type, list[Description]], scene: Scene, target: Placed, rng: Random) -> Description | None:
    """One of the descriptions, the sorts as often as people use them; None when there is none."""
    if not found:
        return None
    weights = _WEIGHTS_ALONE if target in alone_of_kind(scene) else _WEIGHTS_AMONG
    sorts = sorted(found, key=lambda sort: sort.__name__)
    return rng.choice(found[rng.choices(sorts, [weights[sort] for sort in sorts])[0]])


def _attempts(target: Placed, scene: Scene) -> Iterator[Description]:
    yield Description(target.kind, Named())
    anchors = alone_of_kind(scene)
    # "The leftmost cat" where there is one cat says too much: then it is "the leftmost object".
    kind = None if target in anchors and len(scene.objects) > 1 else target.kind
    for cell in _CORNERS_AND_CENTER:
        yield Description(kind, InCell(cell))
    if len(scene.objects) > 1:
        for direction in Direction:
            yield Description(kind, Outermost(direction))
            for anchor in anchors:
                if anchor is not target:
                    yield Description(target.kind, Toward(direction, anchor))
                    yield Description(None, Toward(direction, anchor))
        for largest in (True, False):
            yield Description(kind, Sized(largest))
