"""English wordings."""

from random import Random

from ofa.data.scenes.captions import CaptionContent, Group
from ofa.data.scenes.language import weighted
from ofa.data.scenes.meaning import Description, InCell, Named, Outermost, Sized, Toward
from ofa.data.scenes.questions import Count, Presence, Question, Related, Where, Which, simpler_cells
from ofa.data.scenes.relations import Cell, Direction

_NUMBERS = ("no", "one", "two", "three", "four", "five")
_TOWARD = {
    Direction.LEFT: (("to the left of", 5), ("left of", 1)),
    Direction.RIGHT: (("to the right of", 5), ("right of", 1)),
    Direction.ABOVE: (("above", 1),),
    Direction.BELOW: (("below", 4), ("under", 1)),
}
_OUTERMOST = {
    Direction.LEFT: (("the leftmost {}", 2), ("the {} on the left", 2), ("left {}", 1), ("{} on the far left", 1)),
    Direction.RIGHT: (("the rightmost {}", 2), ("the {} on the right", 2), ("right {}", 1), ("{} on the far right", 1)),
    Direction.ABOVE: (("the topmost {}", 2), ("the {} at the top", 2), ("top {}", 1), ("highest {}", 1)),
    Direction.BELOW: (("the lowest {}", 2), ("the {} at the bottom", 2), ("bottom {}", 1), ("lowest {}", 1)),
}
_COLUMNS, _ROWS = {-1: "left", 0: "", 1: "right"}, {-1: "top", 0: "", 1: "bottom"}
_LANDSCAPES = {
    "meadow": (("in a field", 5), ("on the grass", 1)),
    "beach": (("on the beach", 5), ("at the beach", 1)),
    "snow": (("in the snow", 5), ("on the snow", 1)),
    "desert": (("in the desert", 5), ("on the sand", 1)),
    "sea": (("in the sea", 5), ("in the water", 1)),
    "night": (("at night", 5), ("under the stars", 1)),
}


class English:
    """See `Language`."""

    def caption(self, content: CaptionContent, rng: Random) -> str:
        parts = [self._group(group) for group in content.groups]
        if content.direction is None:
            subject = " next to ".join(parts) if content.beside else _join(parts)
        else:
            subject = f"{parts[0]} {weighted(rng, *_TOWARD[content.direction])} {_join(parts[1:])}"
        if content.cell is not None:
            subject += " " + _place(content.cell)
        verb = "is" if content.groups[0].count == 1 else "are"
        opening = weighted(rng, ("", 16), (f"there {verb} ", 2), ("a picture of ", 1), ("a drawing of ", 1))
        sentence = opening + subject
        if content.background is not None:
            sentence += " " + self._background(content.background, rng)
        return sentence[0].upper() + sentence[1:] + "."

    def words(self, sentence: str) -> int:
        return len(sentence.split())

    def expression(self, description: Description, rng: Random) -> str:
        noun = description.kind.name if description.kind else weighted(rng, ("object", 3), ("thing", 1))
        match description.trait:
            case Named():
                return weighted(rng, (f"the {noun}", 1), (noun, 1))
            case Outermost(direction):
                return weighted(rng, *_OUTERMOST[direction]).format(noun)
            case InCell(cell):
                place = _cell(cell)
                if cell == (0, 0):
                    return weighted(rng, (f"the {noun} in the middle", 3), (f"{noun} in the center", 1))
                return weighted(
                    rng, (f"the {noun} in the {place}", 2), (f"{noun} in the {place} corner", 1), (f"{place} {noun}", 1)
                )
            case Sized(largest):
                word = weighted(rng, ("biggest", 2), ("largest", 1)) if largest else "smallest"
                return weighted(rng, (f"the {word} {noun}", 2), (f"{word} {noun}", 1))
            case Toward(direction, anchor):
                words = weighted(rng, *_TOWARD[direction])
                return weighted(rng, ("the ", 1), ("", 1)) + f"{noun} {words} the {anchor.kind.name}"

    def question(self, question: Question, rng: Random) -> str:
        match question:
            case Presence(kind):
                return weighted(rng, (f"Is there {kind.one}?", 2), (f"Is there {kind.one} in the picture?", 1))
            case Related(kind, direction, anchor):
                return f"Is the {kind.name} {weighted(rng, *_TOWARD[direction])} the {anchor.name}?"
            case Count(kind):
                noun = kind.many if kind else "objects"
                return weighted(rng, (f"How many {noun} are there?", 2), (f"How many {noun} are in the picture?", 1))
            case Where(kind):
                return f"Where is the {kind.name}?"
            case Which(description):
                return self._which(description, rng)

    def answer(self, question: Question) -> str:
        match question:
            case Presence(answer=yes) | Related(answer=yes):
                return "yes" if yes else "no"
            case Count(answer=count):
                return str(count)
            case Where(answer=cell):
                return _cell(cell)
            case Which(answer=kind):
                return kind.name

    def near_answers(self, question: Question) -> list[str]:
        match question:
            case Presence(answer=yes) | Related(answer=yes):
                return ["no" if yes else "yes"]
            case Count(answer=count):
                return [str(near) for near in (count - 1, count + 1) if near >= 0]
            case Where(answer=cell):
                return ["center"] if cell == (0, 0) else [_cell(near) for near in simpler_cells(cell)]
            case Which(answer=kind):
                return [kind.other_name or kind.group]

    def _group(self, group: Group) -> str:
        if group.count > 1:
            return f"{_NUMBERS[group.count]} {group.kind.many}"
        if group.big is None:
            return group.kind.one
        return f"a {'big' if group.big else 'small'} {group.kind.name}"

    def _background(self, name: str, rng: Random) -> str:
        if name in _LANDSCAPES:
            return weighted(rng, *_LANDSCAPES[name])
        article = "an" if name[0] in "aeiou" else "a"
        return f"{weighted(rng, ('on', 5), ('against', 1))} {article} {name} background"

    def _which(self, description: Description, rng: Random) -> str:
        match description.trait:
            case Toward(direction, anchor):
                return f"Which object is {weighted(rng, *_TOWARD[direction])} the {anchor.kind.name}?"
            case InCell(cell):
                return f"What is in the {_cell(cell)}" + ("?" if cell == (0, 0) else " corner?")
            case Sized(largest):
                return f"Which object is the {'biggest' if largest else 'smallest'}?"
            case Named() | Outermost():
                raise ValueError(f"no question is asked with {description.trait}")


def _join(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _cell(cell: Cell) -> str:
    """Name of a ninth of the picture: "top left", "left", "middle"."""
    return f"{_ROWS[cell[1]]} {_COLUMNS[cell[0]]}".strip() or "middle"


def _place(cell: Cell) -> str:
    """The same, as it follows a noun."""
    column, row = cell
    if row == 0 and column != 0:
        return f"on the {_cell(cell)}"
    return f"at the {_cell(cell)}" if column == 0 and row != 0 else f"in the {_cell(cell)}"
