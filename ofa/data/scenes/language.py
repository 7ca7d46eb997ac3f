"""The words for what captions, expressions and questions mean, language by language."""

from random import Random
from typing import Protocol

from ofa.data.scenes.captions import CaptionContent
from ofa.data.scenes.meaning import Description
from ofa.data.scenes.questions import Question


class Language(Protocol):
    """How one language says things. Where several wordings are usual, `rng` chooses."""

    def caption(self, content: CaptionContent, rng: Random) -> str:
        """A sentence about the whole picture."""

    def words(self, sentence: str) -> int:
        """Length of a sentence in words."""

    def expression(self, description: Description, rng: Random) -> str:
        """A referring expression, as people type it."""

    def question(self, question: Question, rng: Random) -> str:
        """A question, with its question mark."""

    def answer(self, question: Question) -> str:
        """The right answer, in the short form of VQA."""

    def near_answers(self, question: Question) -> list[str]:
        """What an annotator may answer instead: another word for it, or a neighbouring answer."""


def weighted(rng: Random, *choices: tuple[str, int]) -> str:
    """One of the wordings, as often as its weight says."""
    return rng.choices([text for text, _ in choices], [weight for _, weight in choices])[0]
