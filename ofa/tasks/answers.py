"""Tasks whose answer is one of a list: what may be said at each position, and how candidates are ranked."""

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import torch
from torch import LongTensor, nn

from ofa.data.batch import Batch
from ofa.data.sources.plain_pickle import load_plain_pickle
from ofa.errors import OFAError
from ofa.generate import Trie, score_candidates
from ofa.tasks.base import Prediction

RANKED = 5
"""Answers that a ranking reports for a sample."""


class AnswerSpace:
    """A list of answers and their token ids.

    Args:
        answers: texts.
        ids: the tokens of each, in the same order.
    """

    def __init__(self, answers: Sequence[str], ids: Sequence[LongTensor]):
        if not answers:
            raise OFAError("the list of answers is empty")
        self.answers, self.ids = tuple(answers), tuple(ids)
        self._next: dict[tuple[int, ...], LongTensor] = {}

    def __len__(self) -> int:
        return len(self.answers)

    def __reduce__(self):
        return AnswerSpace, (self.answers, self.ids)

    @cached_property
    def trie(self) -> Trie:
        """The prefix tree of all answers."""
        return Trie([ids.tolist() for ids in self.ids])

    @property
    def longest(self) -> int:
        """Tokens of the longest answer."""
        return max(len(ids) for ids in self.ids)

    def allowed(self, answer: LongTensor, prompt: int = 1) -> list[LongTensor]:
        """Ids that the answers allow at each target position of a prompted sample.

        After a beginning that is no answer's only eos is allowed, as in the original.

        Args:
            answer: (A,) tokens of the true answer.
            prompt: length of the decoder's prompt; the prompt - 1 positions before the answer get no entry.

        Returns:
            prompt - 1 + A + 1 tensors of ids.
        """
        nothing = torch.empty(0, dtype=torch.long)
        tokens = answer.tolist()
        return [nothing] * (prompt - 1) + [self._after(tuple(tokens[:i])) for i in range(len(tokens) + 1)]

    def _after(self, prefix: tuple[int, ...]) -> LongTensor:
        if prefix not in self._next:
            self._next[prefix] = torch.tensor(self.trie.next_ids(prefix))
        return self._next[prefix]


def read_answers(path: str | Path) -> tuple[str, ...]:
    """Answers from a file: a JSON list, a JSON object or pickled dict from answer to label, or one answer a line.

    A pickle may hold plain Python values only; nothing in it is executed.

    Raises:
        OFAError: the file is missing or is none of these.
    """
    path = Path(path)
    try:
        if path.suffix in (".pkl", ".p", ".pickle"):
            values = load_plain_pickle(path)
        elif path.suffix == ".json":
            values = json.loads(path.read_bytes())
        else:
            values = [line for line in path.read_text(encoding="utf-8").split("\n") if line.strip()]
    except OSError as error:
        raise OFAError(f"cannot read the answers {path}: {error.strerror}; check the path") from error
    except ValueError as error:
        raise OFAError(f"cannot read the answers {path}: {error}") from error
    if isinstance(values, dict):
        values = sorted(values, key=values.get)
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise OFAError(f"the answers {path} must be a list of texts or a mapping from text to label number")
    return tuple(values)


def rank(net: nn.Module, batch: Batch, space: AnswerSpace) -> list[Prediction]:
    """Score every answer of the space for every sample: the sum of log-probabilities of its tokens and eos.

    The softmax at each position is over what the answers allow there, as in the original's "allcand" evaluation.
    """
    scores = score_candidates(net, batch, space.ids, prompt=batch.prompt, trie=space.trie)
    best = scores.topk(min(RANKED, len(space)), dim=1)
    predictions = []
    for id, values, indices in zip(batch.ids, best.values.tolist(), best.indices.tolist(), strict=True):
        ranked = tuple((space.answers[index], value) for index, value in zip(indices, values, strict=True))
        predictions.append(Prediction(id, *ranked[0], ranked[1:]))
    return predictions
