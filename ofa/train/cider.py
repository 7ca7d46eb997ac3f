"""CIDEr-D (arXiv 1411.5726) as a reward: fast, one sentence at a time, against a fixed table of document frequencies.

The scores that are reported come from `ofa.metrics.caption`; this one differs from it as the original's reward does:
no PTB tokenizer, an end-of-sentence token that counts, frequencies of the training set.
"""

import math
import string
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ofa.data.sources.plain_pickle import load_plain_pickle
from ofa.errors import OFAError

N_GRAMS = 4
SIGMA = 6.0
"""Width (tokens) of the Gaussian penalty on a difference in length."""
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)

Vector = list[dict[tuple[str, ...], float]]


class CiderD:
    """Scores a caption against references, given how many of `documents` pictures mention each n-gram."""

    def __init__(self, document_frequency: Mapping[tuple[str, ...], float], documents: int):
        self.document_frequency = document_frequency
        self.log_documents = math.log(documents)

    @classmethod
    def from_corpus(cls, corpus: Iterable[Sequence[str]]) -> "CiderD":
        """Take the frequencies from the references of every picture of a training set."""
        frequency: dict[tuple[str, ...], int] = defaultdict(int)
        documents = 0
        for references in corpus:
            documents += 1
            for ngram in {ngram for reference in references for ngram in _ngrams(reference)}:
                frequency[ngram] += 1
        return cls(dict(frequency), documents)

    @classmethod
    def load(cls, path: str | Path) -> "CiderD":
        """Take the frequencies from a file of the original, such as its `coco-train-words.p`.

        Raises:
            OFAError: the file is missing, damaged or of another kind.
        """
        content = load_plain_pickle(path)
        if not isinstance(content, dict) or not {"document_frequency", "ref_len"} <= content.keys():
            raise OFAError(f"{path} holds no document frequencies: it needs 'document_frequency' and 'ref_len'")
        return cls(content["document_frequency"], int(content["ref_len"]))

    def score(self, candidate: str, references: Sequence[str]) -> float:
        """CIDEr-D of a caption, 0 to 10."""
        hypothesis, norms, length = self._vector(candidate)
        total = 0.0
        for reference in references:
            vector, reference_norms, reference_length = self._vector(reference)
            penalty = math.exp(-((length - reference_length) ** 2) / (2 * SIGMA**2))
            for n in range(N_GRAMS):
                overlap = sum(
                    min(value, vector[n][ngram]) * vector[n][ngram]
                    for ngram, value in hypothesis[n].items()
                    if ngram in vector[n]
                )
                if norms[n] and reference_norms[n]:
                    total += penalty * overlap / (norms[n] * reference_norms[n])
        return 10.0 * total / (N_GRAMS * len(references))

    def _vector(self, sentence: str) -> tuple[Vector, list[float], int]:
        """The tf-idf vectors of 1- to 4-grams, their norms, and the number of bigrams (the original's length)."""
        vector: Vector = [{} for _ in range(N_GRAMS)]
        length = 0
        for ngram, count in _ngrams(sentence).items():
            weight = self.log_documents - math.log(max(1, self.document_frequency.get(ngram, 0)))
            vector[len(ngram) - 1][ngram] = count * weight
            length += count if len(ngram) == 2 else 0
        return vector, [math.sqrt(sum(v * v for v in part.values())) for part in vector], length


def _ngrams(sentence: str) -> Counter[tuple[str, ...]]:
    words = [*sentence.translate(_NO_PUNCTUATION).split(), "<eos>"]
    return Counter(tuple(words[i : i + n]) for n in range(1, N_GRAMS + 1) for i in range(len(words) - n + 1))


def leave_one_out(scores: Sequence[float]) -> list[float]:
    """The score of each of a picture's captions minus the mean of the others'; 0 for a caption that is alone."""
    others = max(len(scores) - 1, 1)
    return [score - (sum(scores) - score) / others if len(scores) > 1 else 0.0 for score in scores]
