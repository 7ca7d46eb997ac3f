"""Which answers are taken for which: a confusion matrix of an evaluation whose answers repeat."""

from collections import Counter
from pathlib import Path
from typing import Any

from components.evaluate.record import load_predictions

OTHER = "(other)"
"""Stands for all answers that have no row of their own."""


def confusion(folder: str | Path, most: int = 15) -> tuple[list[str], list[list[int]]] | None:
    """Counts of an evaluation's predictions by true answer.

    Args:
        folder: of the evaluation.
        most: answers that get a row and a column, the most frequent true ones.

    Returns:
        the answers and the matrix, [true][predicted]; None where answers are no texts that repeat, such as captions or
        boxes: half of the rows must have one of those answers.
    """
    pairs = [(_answer(row["references"]), row["prediction"]) for row in load_predictions(folder)]
    if not pairs or any(not isinstance(text, str) for pair in pairs for text in pair):
        return None
    frequent = [answer for answer, _ in Counter(true for true, _ in pairs).most_common(most)]
    known = {answer: number for number, answer in enumerate(sorted(frequent))}
    if sum(true in known for true, _ in pairs) < len(pairs) / 2:
        return None
    matrix = [[0] * (len(known) + 1) for _ in range(len(known) + 1)]
    for true, predicted in pairs:
        matrix[known.get(true, len(known))][known.get(predicted, len(known))] += 1
    return [*known, OTHER], matrix


def _answer(references: Any) -> Any:
    """The answer that most people gave; a list of references is no answer."""
    return max(references, key=references.get) if isinstance(references, dict) and references else references
