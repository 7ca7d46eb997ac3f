"""Questions about a scene that have one clear answer, and what ten people answer."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from random import Random

from ofa.data.scenes.composition import Scene
from ofa.data.scenes.kinds import Kind
from ofa.data.scenes.meaning import Description, InCell, Sized, Toward, alone_of_kind, referent
from ofa.data.scenes.relations import CELLS, Cell, Direction, cell_of, is_toward


class AnswerType(StrEnum):
    """VQA v2's types of answers."""

    YES_NO = "yes/no"
    NUMBER = "number"
    OTHER = "other"


@dataclass(frozen=True)
class Presence:
    """Is there a cat?"""

    kind: Kind
    answer: bool


@dataclass(frozen=True)
class Related:
    """Is the cat to the left of the dog?"""

    kind: Kind
    direction: Direction
    anchor: Kind
    answer: bool


@dataclass(frozen=True)
class Count:
    """How many cats are there? How many objects (`kind` None) are there?"""

    kind: Kind | None
    answer: int


@dataclass(frozen=True)
class Which:
    """Which object is left of the cat? What is in the top left corner? Which object is the biggest?"""

    description: Description
    answer: Kind


@dataclass(frozen=True)
class Where:
    """Where is the dog?"""

    kind: Kind
    answer: Cell


Question = Presence | Related | Count | Which | Where


def ask(scene: Scene, kinds: tuple[Kind, ...], wanted: int, rng: Random) -> list[Question]:
    """Up to `wanted` different questions; fewer only where a simple scene gives no more after many attempts."""
    makers: dict[Callable[..., Question | None], int] = {
        _presence: 20,
        _related: 18,
        _count: 20,
        _which: 24,
        _where: 18,
    }
    asked: list[Question] = []
    for _ in range(20 * wanted):
        question = rng.choices(list(makers), list(makers.values()))[0](scene, kinds, rng)
        if question is not None and question not in asked:
            asked.append(question)
            if len(asked) == wanted:
                break
    return asked


def answer_type(question: Question) -> AnswerType:
    """VQA v2's type of the question's answer."""
    if isinstance(question, Presence | Related):
        return AnswerType.YES_NO
    return AnswerType.NUMBER if isinstance(question, Count) else AnswerType.OTHER


def question_type(question: Question) -> str:
    """VQA v2's type of the question: how it starts in English."""
    match question:
        case Presence():
            return "is there"
        case Related():
            return "is the"
        case Count():
            return "how many"
        case Where():
            return "where is the"
        case Which(description):
            return "what is in the" if isinstance(description.trait, InCell) else "which"


def simpler_cells(cell: Cell) -> list[Cell]:
    """The places that a less careful person would name instead of `cell`."""
    column, row = cell
    return [(column, 0), (0, row)] if column and row else [(0, 0)]


def _presence(scene: Scene, kinds: tuple[Kind, ...], rng: Random) -> Presence:
    present = {thing.kind.name for thing in scene.objects}
    answer = rng.random() < 0.5
    return Presence(rng.choice([kind for kind in kinds if (kind.name in present) == answer]), answer)


def _related(scene: Scene, kinds: tuple[Kind, ...], rng: Random) -> Related | None:
    alone = alone_of_kind(scene)
    if len(alone) < 2:
        return None
    thing, anchor = rng.sample(alone, 2)
    directions = [direction for direction in Direction if is_toward(thing, direction, anchor, scene)]
    if not directions:
        return None
    direction = rng.choice(directions)
    answer = rng.random() < 0.5
    return Related(thing.kind, direction if answer else direction.opposite, anchor.kind, answer)


def _count(scene: Scene, kinds: tuple[Kind, ...], rng: Random) -> Count:
    draw = rng.random()
    if draw < 0.3:
        return Count(None, len(scene.objects))
    counts = Counter(thing.kind.name for thing in scene.objects)
    several = [kind for kind in kinds if counts[kind.name] > 1]
    if draw < 0.42:
        fitting = [kind for kind in kinds if counts[kind.name] == 0]
    elif several and draw < 0.85:
        fitting = several
    else:
        fitting = [kind for kind in kinds if counts[kind.name] == 1] or several
    kind = rng.choice(fitting)
    return Count(kind, counts[kind.name])


def _which(scene: Scene, kinds: tuple[Kind, ...], rng: Random) -> Which | None:
    if len(scene.objects) < 2:
        return None
    draw = rng.random()
    if draw < 0.55:
        alone = alone_of_kind(scene)
        if not alone:
            return None
        trait = Toward(rng.choice(list(Direction)), rng.choice(alone))
    elif draw < 0.8:
        trait = InCell(rng.choice([cell for cell in CELLS if abs(cell[0]) == abs(cell[1])]))
    else:
        trait = Sized(rng.random() < 0.5)
    description = Description(None, trait)
    thing = referent(description, scene)
    return None if thing is None else Which(description, thing.kind)


def _where(scene: Scene, kinds: tuple[Kind, ...], rng: Random) -> Where | None:
    alone = alone_of_kind(scene)
    if not alone:
        return None
    thing = rng.choice(alone)
    cell = cell_of(thing, scene)
    return None if cell is None else Where(thing.kind, cell)
