"""The seven GLUE tasks that OFA was evaluated on: one or two sentences, a one-token answer."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from ofa.data.batch import PAD, Batch, Sample
from ofa.errors import OFAError
from ofa.generate import SearchConfig
from ofa.metrics.classification import accuracy, f1, matthews
from ofa.tasks.answers import AnswerSpace
from ofa.tasks.base import Prediction, PromptType, Task, TextSettings, register

SENTENCES = ("sentence1", "sentence2")
YES_NO = {"0": "no", "1": "yes"}
ENTAILMENT = {"not_entailment": "no", "entailment": "yes"}


@dataclass(frozen=True, kw_only=True)
class GlueSettings(TextSettings):
    """Settings of a GLUE task."""

    max_src_length: int = 512
    """Words of each sentence that are kept."""
    prompt_type: PromptType = "src"
    """What the decoder is given before the answer."""


class Glue(Task):
    """A question about lower-cased sentences -> one token, without eos. Subclasses say which question and answers."""

    Settings = GlueSettings
    settings: GlueSettings
    question: ClassVar[str]
    """With {sentence1} and {sentence2}."""
    answers: ClassVar[dict[str, str]]
    """Label in the table -> answer; the last one counts as positive in F1 and correlation."""

    def __init__(self, settings: GlueSettings | None = None):
        super().__init__(settings)
        values = tuple(dict.fromkeys(self.answers.values()))
        self.space = AnswerSpace(values, [self.encode(f" {value}") for value in values])

    def sample(self, row: Mapping[str, Any], train: bool, rng: random.Random) -> Sample:
        label = row.get("label") or None
        if label is not None and label not in self.answers:
            raise OFAError(f"label {label!r} is not one of {', '.join(self.answers)}")
        sentences = {
            name: " ".join(row[name].lower().split()[: self.settings.max_src_length])
            for name in SENTENCES
            if name in self.columns
        }
        source = self.source(self.encode(self.question.format(**sentences)))
        prompt = {"none": self.bos, "prev_output": source[:-1], "src": source}[self.settings.prompt_type]
        target = torch.full((len(prompt),), PAD)
        if label is not None:
            target[-1:] = self.encode(f" {self.answers[label]}")
        allowed = self.space.allowed(self.eos[:0], len(prompt))
        return Sample(
            id=row.get("uniq_id", ""),
            source=source,
            previous=prompt.clone(),
            target=target,
            allowed=allowed,
            prompt=prompt,
            reference=self.answers.get(label),
        )

    def predict(self, net: torch.nn.Module, batch: Batch, search: SearchConfig | None = None) -> list[Prediction]:
        """The answer whose token is most probable after the prompt; there is nothing to search."""
        rows = torch.arange(len(batch), device=batch.source.device)
        ids = torch.cat(self.space.ids).to(batch.source.device)
        with torch.no_grad():
            features = net(previous_tokens=batch.prompt, features_only=True, **batch.inputs())
            logits = net.project(features[rows, (batch.prompt != PAD).sum(1) - 1])
        columns = ids if net.output_ids is None else net.columns(ids)
        values, order = logits[:, columns].float().log_softmax(1).sort(1, descending=True)
        predictions = []
        for id, scores, places in zip(batch.ids, values.tolist(), order.tolist(), strict=True):
            ranked = [(self.space.answers[place], score) for place, score in zip(places, scores, strict=True)]
            predictions.append(Prediction(id, *ranked[0], tuple(ranked[1:])))
        return predictions

    def read(self, tokens: Sequence[int], reference: Any) -> str:
        return self.tokenizer.decode(tokens).strip()

    def score(self, predictions: Sequence[Prediction], references: Sequence[str]) -> dict[str, float]:
        return {"accuracy": accuracy([prediction.value for prediction in predictions], references)}


@register
class Cola(Glue):
    """Is a sentence grammatical?"""

    name = table = "cola"
    question, answers = ' is the text " {sentence1} " grammatically correct?', YES_NO

    def score(self, predictions: Sequence[Prediction], references: Sequence[str]) -> dict[str, float]:
        """Matthews' correlation, GLUE's measure of this task, and accuracy."""
        values = [prediction.value for prediction in predictions]
        return {"mcc": matthews(values, references, "yes"), "accuracy": accuracy(values, references)}


@register
class Sst2(Glue):
    """Is a sentence positive?"""

    name = table = "sst2"
    question = ' is the sentiment of text " {sentence1} " positive or negative?'
    answers = {"0": "negative", "1": "positive"}


@register
class Mnli(Glue):
    """Does a sentence imply another?"""

    name = table = "mnli"
    question = ' can text1 " {sentence1} " imply text2 " {sentence2} "?'
    answers = {"0": "maybe", "1": "yes", "2": "no"}


@register
class Rte(Glue):
    """Does a sentence imply another?"""

    name = table = "rte"
    question, answers = Mnli.question, ENTAILMENT


@register
class Qnli(Glue):
    """Does the second sentence answer the first, a question?"""

    name = table = "qnli"
    question = ' does " {sentence2} " contain the answer to question " {sentence1} "?'
    answers = ENTAILMENT


class Paraphrase(Glue):
    """Do two sentences mean the same?"""

    answers = YES_NO

    def score(self, predictions: Sequence[Prediction], references: Sequence[str]) -> dict[str, float]:
        """Accuracy, and F1 of "yes"."""
        values = [prediction.value for prediction in predictions]
        return {"accuracy": accuracy(values, references), "f1": f1(values, references, "yes")}


@register
class Mrpc(Paraphrase):
    """Do two sentences mean the same?"""

    name = table = "mrpc"
    question = ' does text1 " {sentence1} " and text2 " {sentence2} " have the same semantics?'


@register
class Qqp(Paraphrase):
    """Do two questions mean the same?"""

    name = table = "qqp"
    question = ' is question " {sentence1} " and question " {sentence2} " equivalent?'
