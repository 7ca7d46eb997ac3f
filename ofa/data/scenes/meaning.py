"""Referring expressions before they become words: which objects of a scene a description fits."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from ofa.data.scenes.composition import Placed, Scene
from ofa.data.scenes.kinds import Kind
from ofa.data.scenes.relations import Cell, Direction, is_extreme_size, is_in_cell, is_outermost, is_toward


@dataclass(frozen=True)
class Named:
    """Every object of the kind: "cat"."""


@dataclass(frozen=True)
class Outermost:
    """The one farthest to a side: "leftmost cat"."""

    direction: Direction


@dataclass(frozen=True)
class InCell:
    """Those in a ninth of the picture: "cat in the top right"."""

    cell: Cell


@dataclass(frozen=True)
class Sized:
    """The largest or the smallest: "the biggest cat"."""

    largest: bool


@dataclass(frozen=True)
class Toward:
    """Those on one side of another object: "cat left of the dog"."""

    direction: Direction
    anchor: Placed


Trait = Named | Outermost | InCell | Sized | Toward


@dataclass(frozen=True)
class Description:
    """A kind of object, or any object, with a trait that tells one from the others."""

    kind: Kind | None
    """None: "object"."""
    trait: Trait


def alone_of_kind(scene: Scene) -> list[Placed]:
    """The objects that are the only ones of their kind, so that the kind's name means them."""
    counts = Counter(thing.kind.name for thing in scene.objects)
    return [thing for thing in scene.objects if counts[thing.kind.name] == 1]


def candidates(description: Description, scene: Scene) -> list[Placed]:
    """The objects among which the trait decides."""
    anchor = description.trait.anchor if isinstance(description.trait, Toward) else None
    return [
        thing
        for thing in scene.objects
        if (description.kind is None or thing.kind.name == description.kind.name) and thing is not anchor
    ]


def fits(thing: Placed, trait: Trait, others: Sequence[Placed]) -> bool | None:
    """Whether the trait is true of `thing` among `others`; None where people could disagree."""
    match trait:
        case Named():
            return True
        case Outermost(direction):
            return is_outermost(thing, direction, others)
        case InCell(cell):
            return is_in_cell(thing, cell)
        case Sized(largest):
            return is_extreme_size(thing, largest, others)
        case Toward(direction, anchor):
            return is_toward(thing, direction, anchor)


def referent(description: Description, scene: Scene) -> Placed | None:
    """The one object that is meant, or None where the description fits none, several, or unclearly."""
    among = candidates(description, scene)
    answers = [fits(thing, description.trait, among) for thing in among]
    if None in answers or answers.count(True) != 1:
        return None
    return among[answers.index(True)]
