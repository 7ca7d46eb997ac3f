"""ROUGE-1, ROUGE-2 and ROUGE-L (Lin 2004) of summaries, as Google's `rouge-score` computes them with its stemmer.

Words are lower-cased runs of letters and digits; those of more than three characters are compared by their stems.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from ofa.errors import OFAError

_WORD = re.compile(r"[a-z0-9]+")


@dataclass(frozen=True)
class Overlap:
    """How much of a summary and a reference is the same."""

    precision: float
    recall: float

    @property
    def f1(self) -> float:
        """Harmonic mean of both."""
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total else 0.0


def words(text: str) -> list[str]:
    """What is compared."""
    return [_stem(word) if len(word) > 3 else word for word in _WORD.findall(text.lower())]


def rouge_n(summary: str, reference: str, n: int) -> Overlap:
    """Overlap in sequences of n words, each counted as often as it occurs in both."""
    ours, theirs = _ngrams(words(summary), n), _ngrams(words(reference), n)
    return _overlap((ours & theirs).total(), ours.total(), theirs.total())


def rouge_l(summary: str, reference: str) -> Overlap:
    """Overlap in the longest common subsequence of words."""
    ours, theirs = words(summary), words(reference)
    row = [0] * (len(theirs) + 1)
    for word in ours:
        previous = row
        row = [0]
        for column, other in enumerate(theirs):
            row.append(previous[column] + 1 if word == other else max(row[column], previous[column + 1]))
    return _overlap(row[-1], len(ours), len(theirs))


def score(summaries: Sequence[str], references: Sequence[str]) -> dict[str, float]:
    """Mean F1 and recall over all summaries: ROUGE-1, ROUGE-2, ROUGE-L and the same with "_recall".

    Raises:
        OFAError: the numbers of summaries and references differ, or there are none.
    """
    if len(summaries) != len(references) or not references:
        raise OFAError(f"{len(summaries)} summaries cannot be compared with {len(references)} references")
    pairs = list(zip(summaries, references, strict=True))
    overlaps = {
        "ROUGE-1": [rouge_n(*pair, 1) for pair in pairs],
        "ROUGE-2": [rouge_n(*pair, 2) for pair in pairs],
        "ROUGE-L": [rouge_l(*pair) for pair in pairs],
    }
    f1 = {name: sum(o.f1 for o in values) / len(pairs) for name, values in overlaps.items()}
    return f1 | {f"{name}_recall": sum(o.recall for o in values) / len(pairs) for name, values in overlaps.items()}


def _ngrams(tokens: Sequence[str], n: int) -> Counter[tuple[str, ...]]:
    return Counter(zip(*(tokens[i:] for i in range(n)), strict=False))


def _overlap(common: int, ours: int, theirs: int) -> Overlap:
    return Overlap(common / ours if ours else 0.0, common / theirs if theirs else 0.0)


@cache
def _stem(word: str) -> str:
    return _stemmer().stem(word)


@cache
def _stemmer() -> Any:
    from nltk.stem.porter import PorterStemmer

    return PorterStemmer()
