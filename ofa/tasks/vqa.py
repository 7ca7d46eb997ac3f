"""Visual question answering (VQA v2): an answer out of a list, or any text."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch

from ofa.data.batch import Batch, Sample
from ofa.errors import OFAError
from ofa.generate import SearchConfig
from ofa.tasks.answers import AnswerSpace, rank, read_answers
from ofa.tasks.base import ImageSettings, ImageTask, Language, Prediction, PromptType, register
from ofa.text.cleaning import pre_question


@dataclass(frozen=True, kw_only=True)
class VqaSettings(ImageSettings):
    """Settings of question answering."""

    max_tgt_length: int = 30
    """Tokens of the answer that are kept."""
    add_object: bool = True
    """Append the row's object labels to the question, if it has any column of them."""
    max_object_length: int = 30
    """Labels that are kept."""
    prompt_type: PromptType = "prev_output"
    """What the decoder is given before the answer."""
    answers: tuple[str, ...] | None = None
    """The answers that exist. None: any text, in training and search."""
    answers_file: str | None = None
    """File of the answers, see `ofa.tasks.answers.read_answers`; instead of `answers`."""
    inference: Literal["beam", "all_candidates", "open"] = "beam"
    """Beam search within the answers; scoring every answer (slower, 0.5 to 0.6 points better on VQA v2); or beam
    search over all texts."""

    def __post_init__(self):
        super().__post_init__()
        if self.answers is not None and self.answers_file is not None:
            raise OFAError("set answers or answers_file, not both")
        if self.inference == "all_candidates" and self.answers is None and self.answers_file is None:
            raise OFAError("inference = all_candidates needs answers or answers_file")


@register
class Vqa(ImageTask):
    """` {question}?`, and ` object: {labels}` -> the answer that most people gave; its confidence weighs the loss."""

    name = "vqa"
    table = "vqa"
    Settings = VqaSettings
    settings: VqaSettings
    search = SearchConfig(beam=5, max_len_b=200, unnormalized=True)

    def __init__(self, settings: VqaSettings | None = None):
        super().__init__(settings)
        answers = self.settings.answers
        if self.settings.answers_file is not None:
            answers = read_answers(self.settings.answers_file)
        self.space = None if answers is None else AnswerSpace(answers, [self.encode(f" {text}") for text in answers])

    def sample(self, row: Mapping[str, Any], train: bool, rng: random.Random) -> Sample:
        confidences = parse_answers(row.get("answers", ""))
        answer = max(confidences, key=confidences.get, default="")
        tokens = self.encode(f" {answer}", self.settings.max_tgt_length) if answer else self.eos[:0]
        source = self.source(*self._question(row))
        sample = self.prompted(
            id=row.get("uniq_id", ""),
            source=source,
            answer=tokens,
            prompt_type=self.settings.prompt_type,
            confidence=confidences.get(answer, 1.0),
            reference=confidences,
            **self.picture(row),
        )
        if self.space is not None:
            sample.allowed = self.space.allowed(tokens, len(sample.prompt))
        return sample

    def _question(self, row: Mapping[str, Any]) -> list[torch.LongTensor]:
        question = pre_question(row["question"], self.settings.max_src_length)
        parts = [self.encode(f" {question}" if question.endswith(("?", "？")) else f" {question}?")]
        if self.settings.add_object and row.get("objects") is not None:
            labels = row["objects"].strip().split("&&")[: self.settings.max_object_length]
            parts.append(self.encode(f" object: {' '.join(labels)}"))
        return parts

    def predict(self, net: torch.nn.Module, batch: Batch, search: SearchConfig | None = None) -> list[Prediction]:
        search = search or self.search
        if self.space is None or self.settings.inference == "open":
            found = self._generate(net, batch, search)
        elif self.settings.inference == "all_candidates":
            return rank(net, batch, self.space)
        else:
            room = batch.prompt.shape[1] - 1 + self.space.longest
            found = self._generate(net, batch, replace(search, max_len_b=room), self.space.trie)
        return self._predictions(batch, found)

    def read(self, tokens: Sequence[int], reference: Any) -> str:
        return self.tokenizer.decode(tokens).strip()

    def score(self, predictions: Sequence[Prediction], references: Sequence[dict[str, float]]) -> dict[str, float]:
        """Mean confidence of the predicted answers; the official accuracy is in `ofa.metrics.vqa`."""
        right = [truth.get(found.value, 0.0) for found, truth in zip(predictions, references, strict=True)]
        return {"accuracy": sum(right) / len(right)}


@dataclass(frozen=True, kw_only=True)
class VqaZhSettings(VqaSettings):
    """Settings of question answering in Chinese."""

    language: Language = "chinese"


@register
class VqaZh(Vqa):
    """Question answering in Chinese: a task of its own, with a table, a network, scores and rules of the gate."""

    name = "vqa_zh"
    Settings = VqaZhSettings


def parse_answers(text: str) -> dict[str, float]:
    """Confidence of each answer from "0.6|!+no&&1.0|!+yes"; empty for an empty text.

    Raises:
        OFAError: the text has another form.
    """
    confidences = {}
    for part in text.split("&&") if text else ():
        confidence, mark, answer = part.partition("|!+")
        try:
            confidences[answer] = float(confidence)
        except ValueError:
            mark = ""
        if not mark:
            raise OFAError(f"answers {text!r} must have the form 'confidence|!+answer&&confidence|!+answer'")
    return confidences
