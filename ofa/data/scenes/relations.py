"""Where objects are, in words, with a third answer besides yes and no: too close to call.

Each test returns True, False or None. Whoever writes a sentence uses it only where no object of the picture makes it a
matter of opinion; so a reader with eyes never disagrees. Positions are those of the centers of the visible boxes.
"""

from collections.abc import Sequence
from enum import Enum

from ofa.data.scenes.composition import Placed, Scene

_CLEAR = 0.12  # share of the image's side by which centers must differ to be called left, right, above or below
_EDGE = 0.05  # share of the image's side around the lines between thirds where a place has no name
_LARGER = 1.3  # ratio of sizes (square roots of box areas) that is clearly seen
_BIG, _SMALL = 0.5, 0.3  # sizes relative to the image's shorter side that people would call big and small


class Direction(Enum):
    """The direction in which one object is seen from another, or the side of the picture."""

    LEFT = (-1, 0)
    RIGHT = (1, 0)
    ABOVE = (0, -1)
    BELOW = (0, 1)

    @property
    def opposite(self) -> "Direction":
        """The direction back."""
        x, y = self.value
        return Direction((-x, -y))


Cell = tuple[int, int]
"""One of nine parts of the picture: column and row, each -1 (left, top), 0 (middle) or 1 (right, bottom)."""

CELLS: tuple[Cell, ...] = tuple((column, row) for row in (-1, 0, 1) for column in (-1, 0, 1))


def size(thing: Placed) -> float:
    """Square root of the box's area, in pixels."""
    return ((thing.x1 - thing.x0) * (thing.y1 - thing.y0)) ** 0.5


def is_toward(thing: Placed, direction: Direction, anchor: Placed) -> bool | None:
    """Whether `thing` is left of, right of, above or below `anchor`."""
    (x, y), (anchor_x, anchor_y), (across, down) = thing.center, anchor.center, direction.value
    along = (x - anchor_x) * across + (y - anchor_y) * down
    if along >= _CLEAR:
        return True
    return False if along <= 0 else None


def main_direction(thing: Placed, anchor: Placed) -> Direction | None:
    """The one direction in which `thing` is seen from `anchor`; None where two would do or none."""
    (x, y), (anchor_x, anchor_y) = thing.center, anchor.center
    across, down = x - anchor_x, y - anchor_y
    if max(abs(across), abs(down)) < _CLEAR:
        return None
    if abs(across) >= 1.3 * abs(down):
        return Direction.LEFT if across < 0 else Direction.RIGHT
    if abs(down) >= 1.3 * abs(across):
        return Direction.ABOVE if down < 0 else Direction.BELOW
    return None


def is_in_cell(thing: Placed, cell: Cell) -> bool | None:
    """Whether an object's center is in this ninth of the picture."""
    inside, outside = True, False
    for position, part in zip(thing.center, cell, strict=True):
        low, high = (part + 1) / 3, (part + 2) / 3
        # The picture's own border is no line between thirds.
        inside &= (part == -1 or position >= low + _EDGE) and (part == 1 or position <= high - _EDGE)
        outside |= position < low - _EDGE or position > high + _EDGE
    return True if inside else (False if outside else None)


def cell_of(thing: Placed) -> Cell | None:
    """The ninth of the picture that an object is in, or None on a line between two."""
    return next((cell for cell in CELLS if is_in_cell(thing, cell)), None)


def is_outermost(thing: Placed, direction: Direction, others: Sequence[Placed]) -> bool | None:
    """Whether an object is the leftmost, rightmost, highest or lowest among `others` (which may contain it)."""
    answers = [is_toward(thing, direction, other) for other in others if other is not thing]
    return _all(answers)


def is_extreme_size(thing: Placed, largest: bool, others: Sequence[Placed]) -> bool | None:
    """Whether an object is clearly the largest (or smallest) among `others` (which may contain it)."""
    answers: list[bool | None] = []
    for other in others:
        if other is thing:
            continue
        ratio = size(thing) / size(other) if largest else size(other) / size(thing)
        answers.append(True if ratio >= _LARGER else (False if ratio <= 1 else None))
    return _all(answers)


def are_close(thing: Placed, other: Placed, scene: Scene) -> bool:
    """Whether less than a tenth of the image's shorter side lies between two boxes."""
    across = max(thing.x0, other.x0) - min(thing.x1, other.x1)
    down = max(thing.y0, other.y0) - min(thing.y1, other.y1)
    return max(across, down) < min(scene.width, scene.height) / 10


def looks_big(thing: Placed, scene: Scene) -> bool | None:
    """True for an object that is big in the picture, False for a small one, None for the others."""
    share = size(thing) / min(scene.width, scene.height)
    return True if share >= _BIG else (False if share <= _SMALL else None)


def _all(answers: list[bool | None]) -> bool | None:
    if False in answers:
        return False
    return None if None in answers else True
