"""What five people might say about a scene: content first, words later (`language`)."""

from dataclasses import dataclass
from random import Random

from ofa.data.scenes.composition import Placed, Scene
from ofa.data.scenes.kinds import Kind
from ofa.data.scenes.relations import Cell, Direction, are_close, cell_of, looks_big, main_direction

_FEWEST_WORDS, _MOST_WORDS = 4, 14


@dataclass(frozen=True)
class Group:
    """All objects of one kind."""

    kind: Kind
    count: int
    big: bool | None
    """True or False where the caption calls the (only) object big or small; None where it says nothing of it."""


@dataclass(frozen=True)
class CaptionContent:
    """What one caption says."""

    groups: tuple[Group, ...]
    """In the order in which they are named."""
    direction: Direction | None
    """Where the first group is seen from the others, if the caption tells."""
    beside: bool
    """Whether the caption says that the two groups, of one object each, are next to each other."""
    cell: Cell | None
    """Where in the picture the only object is, if the caption tells."""
    background: str | None
    """Name of the background, if the caption mentions it (never together with `cell`)."""


def caption_content(scene: Scene, rng: Random) -> CaptionContent:
    """Choose what a person says: mostly everything that is there from left to right, sometimes more or less."""
    members: dict[str, list[Placed]] = {}
    for thing in sorted(scene.objects, key=lambda thing: thing.center):
        members.setdefault(thing.kind.name, []).append(thing)
    named = list(members.values())
    if len(named) > 3 and rng.random() < 0.25:  # the smallest thing is easily left out
        named.remove(min(named, key=lambda things: sum(thing.area for thing in things)))
    if rng.random() < 0.2:
        named.reverse()
    background = scene.background if rng.random() < (0.8 if len(named) < 3 else 0.5) else None
    cell = direction = None
    if len(scene.objects) == 1 and rng.random() < 0.15:
        cell = cell_of(scene.objects[0])
        background = background if cell is None else None
    if len(named) > 1 and rng.random() < 0.6:
        direction = _common_direction(named[0], [thing for things in named[1:] for thing in things])
    pair = len(named) == 2 and len(scene.objects) == 2
    beside = pair and direction is None and rng.random() < 0.3 and are_close(*scene.objects, scene)
    groups = tuple(_group(things, scene, rng) for things in named)
    return CaptionContent(groups, direction, beside, cell, background)


def fits_length(words: int) -> bool:
    """Whether a caption of so many words is neither clipped nor a speech."""
    return _FEWEST_WORDS <= words <= _MOST_WORDS


def _group(things: list[Placed], scene: Scene, rng: Random) -> Group:
    big = looks_big(things[0], scene) if len(things) == 1 and rng.random() < 0.12 else None
    return Group(things[0].kind, len(things), big)


def _common_direction(first: list[Placed], others: list[Placed]) -> Direction | None:
    """The direction in which all of `first` are seen from all of `others`."""
    directions = {main_direction(thing, other) for thing in first for other in others}
    return directions.pop() if len(directions) == 1 else None
