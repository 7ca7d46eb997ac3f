"""VQA v2's official accuracy (https://visualqa.org/evaluation.html)."""

from collections.abc import Mapping

from ofa.data.answers import normalize_answer


def accuracy(answer: str, confidences: Mapping[str, float]) -> float:
    """How right an answer is, 0..1, by the confidence of each answer that people gave; its spellings count together.

    Both sides are normalized. The published program skips that for people's answers where all agree, but those of
    VQA v2 are normalized already.
    """
    wanted = normalize_answer(answer)
    return min(1.0, sum(value for given, value in confidences.items() if normalize_answer(given) == wanted))
