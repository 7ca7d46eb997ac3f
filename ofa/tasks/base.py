"""What a task is: how a table row becomes tokens, and how generated tokens become an answer and a score.

Tasks are told apart by their instructions alone (arXiv 2202.03052, section 3.2).

To add a task, copy a short file such as `caption.py`: a settings class, prompt, target, reading back, metric.
"""

import random
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import torch
from PIL.Image import Image
from torch import LongTensor, Tensor

from ofa.data.batch import HALF, IMAGENET, PAD, Batch, Sample, Statistics
from ofa.data.images import open_image
from ofa.data.schema import TABLES
from ofa.data.transforms import resize
from ofa.errors import OFAError
from ofa.generate import Hypothesis, SearchConfig, Trie, generate
from ofa.text import Tokenizer

PromptType = Literal["none", "prev_output", "src"]
"""What the decoder is given before the answer: bos; the source without eos; the whole source."""

Language = Literal["english", "chinese"]

MEMORY = 50_000
"""Texts whose token ids a task remembers."""


@dataclass(frozen=True, kw_only=True)
class TextSettings:
    """Settings of every task."""

    language: Language = "english"
    """Of prompts, texts and answers."""
    vocabulary: Language | None = None
    """What the network reads and writes; None: that of the language. A network for both languages has the Chinese
    vocabulary, in which English is lower-cased."""
    max_src_length: int = 80
    """Words of the input text that are kept."""
    max_tgt_length: int = 30
    """Words or tokens of the target that are kept; each task says which."""

    def __post_init__(self):
        for name in ("max_src_length", "max_tgt_length"):
            if getattr(self, name) < 1:
                raise OFAError(f"{name} must be at least 1, got {getattr(self, name)}")


@dataclass(frozen=True, kw_only=True)
class ImageSettings(TextSettings):
    """Settings of tasks that look at a picture."""

    patch_image_size: int = 480
    """Side of the square (pixels) that a picture is resized to; a multiple of 16, at most 672."""
    imagenet_default_mean_and_std: bool = False
    """Normalize with ImageNet's statistics instead of mean and deviation 0.5."""

    def __post_init__(self):
        super().__post_init__()
        size = self.patch_image_size
        if size % 16 or not 16 <= size <= 672:
            raise OFAError(f"patch_image_size must be a multiple of 16 between 16 and 672, got {size}")


@dataclass(frozen=True)
class Prediction:
    """What a task reads from the network's output for one sample."""

    id: str
    """The sample's id."""
    value: Any
    """str, Box, list of Box: the task says which."""
    score: float
    """Log-probability of the output, as the search ranks it."""
    alternatives: tuple[tuple[Any, float], ...] = ()
    """Other values with their scores, best first; filled by tasks that rank."""


registered: dict[str, type["Task"]] = {}


def register(task: type["Task"]) -> type["Task"]:
    """Class decorator: makes `ofa.tasks.get(task.name)` find the task.

    Raises:
        OFAError: another class has the name already.
    """
    known = registered.setdefault(task.name, task)
    if (known.__module__, known.__qualname__) != (task.__module__, task.__qualname__):
        raise OFAError(f"task name {task.name!r} is taken by {known.__module__}.{known.__qualname__}")
    registered[task.name] = task
    return task


class Task(ABC):
    """Base class. A subclass sets the class variables and implements `sample`, `read` and `score`."""

    name: ClassVar[str]
    """Unique, as used in params.yaml."""
    table: ClassVar[str]
    """Kind of table that it reads: a key of `ofa.data.schema.TABLES`."""
    columns: ClassVar[tuple[str, ...]]
    """Column names of the table; set it when the table is none of those kinds."""
    Settings: ClassVar[type[TextSettings]] = TextSettings
    search: ClassVar[SearchConfig] = SearchConfig()
    """Search that the original evaluates with."""
    part_of: ClassVar[str] = ""
    """Task during which a network learns this one where it was not trained for it alone."""
    trie: Trie | None = None
    """Answer space of the search; None: everything."""
    compiled: bool = False
    """Whether the steps of its searches run through `torch.compile`."""

    def __init_subclass__(cls, **others: Any):
        super().__init_subclass__(**others)
        if "columns" not in cls.__dict__ and "table" in cls.__dict__ and cls.table in TABLES:
            cls.columns = TABLES[cls.table]

    def __init__(self, settings: TextSettings | None = None):
        self.settings = settings or self.Settings()
        vocabulary = self.settings.vocabulary or self.settings.language
        self.tokenizer = Tokenizer.of_language(vocabulary)
        self.bos = torch.tensor([self.tokenizer.bos])
        self.eos = torch.tensor([self.tokenizer.eos])
        self._memory: dict[tuple[str, int | None], LongTensor] = {}

    def check_vocabulary(self, rows: int) -> None:
        """Raise OFAError if a network whose token matrix has so many rows was made for another vocabulary.

        A number of rows that is no vocabulary's is taken for one that grew.
        """
        known = Tokenizer.of_size(rows)
        if self.tokenizer.size > rows or known not in (None, self.tokenizer):
            raise OFAError(
                f"task '{self.name}' has the {self.tokenizer.name} vocabulary of {self.tokenizer.size} rows, and the "
                f"network has {rows}: set the task's language, or its vocabulary, to the network's"
            )

    @property
    def table_names(self) -> tuple[str, ...]:
        """What the files of its tables may begin with, the likeliest first: data of two languages have "caption" and
        "caption_zh", Chinese ones alone may have "caption" only."""
        return (f"{self.table}_zh", self.table) if self.settings.language == "chinese" else (self.table,)

    @abstractmethod
    def sample(self, row: Mapping[str, Any], train: bool, rng: random.Random) -> Sample | list[Sample]:
        """The sample, or for pretraining the samples, of a table row.

        At inference the columns that hold the truth may be missing, and `image` may be a picture, a path or bytes.

        Args:
            row: column name -> value.
            train: target and augmentation of training instead of evaluation's.
            rng: the only source of randomness.

        Raises:
            OFAError: the row cannot be used.
        """

    @abstractmethod
    def read(self, tokens: Sequence[int], reference: Any) -> Any:
        """The value that generated tokens (no prompt, no eos) stand for; `reference` is the sample's."""

    @abstractmethod
    def score(self, predictions: Sequence[Prediction], references: Sequence[Any]) -> dict[str, float]:
        """Cheap metrics for validation during training, by name; larger is better."""

    def predict(self, net: torch.nn.Module, batch: Batch, search: SearchConfig | None = None) -> list[Prediction]:
        """Run the search and read its best hypothesis for each sample."""
        return self._predictions(batch, self._generate(net, batch, search or self.search, self.trie))

    def _generate(self, net: torch.nn.Module, batch: Batch, search: SearchConfig, trie: Trie | None = None):
        """What a search finds for each sample of a batch."""
        return generate(net, batch, search, trie=trie, compiled=self.compiled)

    def _predictions(self, batch: Batch, found: Sequence[Sequence[Hypothesis]]) -> list[Prediction]:
        """What the hypotheses of each sample of a batch stand for."""
        if batch.prompt is not None:  # back from a GPU once, not for each hypothesis
            batch = replace(batch, prompt=batch.prompt.cpu())
        predictions = []
        for number, (hypotheses, reference) in enumerate(zip(found, batch.references, strict=True)):
            best, *others = ((self.read(strip(h.tokens, batch, number), reference), h.score) for h in hypotheses)
            predictions.append(Prediction(batch.ids[number], *best, tuple(others)))
        return predictions

    def prompt(self, prompts: Mapping[str, str]) -> str:
        """The text for the settings' language out of a task's `prompts`.

        Raises:
            OFAError: the task has none in this language.
        """
        if self.settings.language not in prompts:
            raise OFAError(f"task {self.name!r} has no prompt in {self.settings.language}: use {', '.join(prompts)}")
        return prompts[self.settings.language]

    def encode(self, text: str, max_tokens: int | None = None) -> LongTensor:
        """Token ids of a text, remembered; do not change the result in place."""
        key = (text, max_tokens)
        ids = self._memory.get(key)
        if ids is None:
            if len(self._memory) >= MEMORY:
                self._memory.clear()
            ids = self._memory[key] = torch.tensor(self.tokenizer.encode(text, max_tokens), dtype=torch.long)
        return ids

    def source(self, *parts: LongTensor) -> LongTensor:
        """bos, the parts, eos."""
        return torch.cat([self.bos, *parts, self.eos])

    def seq2seq(self, id: str, source: LongTensor, target: LongTensor, **others: Any) -> Sample:
        """A sample whose decoder sees bos + target and predicts target + eos."""
        return Sample(
            id=id,
            source=source,
            previous=torch.cat([self.bos, target]),
            target=torch.cat([target, self.eos]),
            **others,
        )

    def prompted(
        self, id: str, source: LongTensor, answer: LongTensor, prompt_type: PromptType, **others: Any
    ) -> Sample:
        """A sample whose decoder sees prompt + answer; only answer + eos have a loss."""
        prompt = {"none": self.bos, "prev_output": source[:-1], "src": source}[prompt_type]
        previous = torch.cat([prompt, answer])
        target = torch.cat([previous[1:], self.eos])
        target[: len(prompt) - 1] = PAD
        return Sample(id=id, source=source, previous=previous, target=target, prompt=prompt, **others)


class ImageTask(Task):
    """A task with a picture."""

    Settings = ImageSettings
    settings: ImageSettings

    @property
    def statistics(self) -> Statistics:
        """Mean and deviation of the normalization."""
        return IMAGENET if self.settings.imagenet_default_mean_and_std else HALF

    def open(self, row: Mapping[str, Any]) -> Image:
        """The row's picture in RGB."""
        return open_image(row["image"])

    def picture(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """The picture fields of a sample: resized to a square, without regard to its shape, as in the original."""
        return self.shared(row, resize(self.open(row), self.settings.patch_image_size))

    def shared(self, row: Mapping[str, Any], image: Tensor) -> dict[str, Any]:
        """The picture fields of a sample whose `image` depends on the row's picture alone: a batch holds it once."""
        stored = row["image"]
        key = (len(stored), hash(stored)) if isinstance(stored, memoryview | bytes) else None
        return {"image": image, "image_key": key, "image_statistics": self.statistics}


def strip(tokens: Sequence[int] | LongTensor, batch: Batch, number: int) -> list[int]:
    """A hypothesis of sample `number` without the decoder's prompt and without eos."""
    tokens = torch.as_tensor(tokens).tolist()
    if batch.prompt is not None:
        tokens = tokens[int((batch.prompt[number] != PAD).sum()) - 1 :]
    return tokens[: tokens.index(Tokenizer.eos)] if Tokenizer.eos in tokens else tokens
