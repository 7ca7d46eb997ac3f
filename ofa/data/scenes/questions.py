"""Questions about a scene that have one clear answer, and what ten people answer."""

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from itertools import permutations
from random import Random

from ofa.data.scenes.composition import Scene
from ofa.data.scenes.kinds import Kind
from ofa.data.scenes.meaning import Description, InCell, Sized, Toward, Trait, alone_of_kind, referent
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
    """Up to `wanted` different questions; fewer only where a simple scene gives no more."""
    stores = (
        (20, _presence(scene, kinds, rng)),
        (22, _related(scene, rng)),
        (21, _counts(scene, kinds, rng)),
        (22, _which(scene, rng)),
        (15, _where(scene, rng)),
    )
    asked: list[Question] = []
    while len(asked) < wanted and any(questions for _, questions in stores):
        filled = [(weight, questions) for weight, questions in stores if questions]
        asked.append(rng.choices(filled, [weight for weight, _ in filled])[0][1].pop())
    return asked


def answer_type(question: Question) -> AnswerType:
    """VQA v2's type of the question's answer."""
    if isinstance(question, Presence | Related):
        return AnswerType.YES_NO
    return AnswerType.NUMBER if isinstance(question, Count) else AnswerType.OTHER


def question_type(question: Question) -> str:
    """VQA v2's type of the question: how it starts in English."""
    match question:
        case Presence(kind):
            return "is there a" if kind.one.startswith("a ") else "is there"
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


def _presence(scene: Scene, kinds: tuple[Kind, ...], rng: Random) -> list[Question]:
    """As many questions with yes as with no, by turns."""
    names = {thing.kind.name for thing in scene.objects}
    present = [kind for kind in kinds if kind.name in names]
    absent = [kind for kind in kinds if kind.name not in names]
    count = min(len(present), len(absent))
    turns = list(zip(rng.sample(present, count), rng.sample(absent, count), strict=True))
    questions: list[Question] = []
    first = rng.random() < 0.5
    for yes, no in turns:
        pair = (Presence(yes, True), Presence(no, False))
        questions += pair if first else pair[::-1]
    return questions


def _related(scene: Scene, rng: Random) -> list[Question]:
    questions: list[Question] = []
    for thing, anchor in permutations(alone_of_kind(scene), 2):
        for direction in Direction:
            if is_toward(thing, direction, anchor):
                answer = rng.random() < 0.5
                asked = direction if answer else direction.opposite
                questions.append(Related(thing.kind, asked, anchor.kind, answer))
    rng.shuffle(questions)
    return questions


def _counts(scene: Scene, kinds: tuple[Kind, ...], rng: Random) -> list[Question]:
    """All objects, each kind that is there more than once, and one kind each that is there once and not at all."""
    counts = Counter(thing.kind.name for thing in scene.objects)
    once = [kind for kind in kinds if counts[kind.name] == 1]
    never = [kind for kind in kinds if counts[kind.name] == 0]
    chosen = [kind for kind in kinds if counts[kind.name] > 1]
    chosen += rng.sample(once, min(1, len(once))) + rng.sample(never, min(1, len(never)))
    questions: list[Question] = [Count(kind, counts[kind.name]) for kind in chosen]
    questions.append(Count(None, len(scene.objects)))
    rng.shuffle(questions)
    return questions


def _which(scene: Scene, rng: Random) -> list[Question]:
    if len(scene.objects) < 2:
        return []
    traits: list[Trait] = [Toward(direction, anchor) for direction in Direction for anchor in alone_of_kind(scene)]
    traits += [InCell(cell) for cell in CELLS if abs(cell[0]) == abs(cell[1])]
    traits += [Sized(True), Sized(False)]
    questions: list[Question] = []
    for trait in traits:
        description = Description(None, trait)
        thing = referent(description, scene)
        if thing is not None:
            questions.append(Which(description, thing.kind))
    rng.shuffle(questions)
    return questions


def _where(scene: Scene, rng: Random) -> list[Question]:
    questions: list[Question] = []
    for thing in alone_of_kind(scene):
        cell = cell_of(thing)
        if cell is not None:
            questions.append(Where(thing.kind, cell))
    rng.shuffle(questions)
    return questions
