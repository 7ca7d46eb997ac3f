"""Self-critical sequence training (arXiv 1612.00563): the network's own captions, rewarded by a metric.

The beam's captions are the samples; the baseline of each is the mean reward of the others. The second stage of the
original's caption finetuning, with `ofa.train.cider.CiderD` as the reward.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import FloatTensor, LongTensor, nn

from ofa.data.batch import PAD, Batch, pad, send
from ofa.data.table import RowError, Table
from ofa.generate import SearchConfig, generate
from ofa.tasks import Task
from ofa.tasks.base import strip
from ofa.tasks.caption import references_in
from ofa.text import Tokenizer
from ofa.train.cider import leave_one_out
from ofa.train.losses import Objective, TokenLoss, check_targets, policy_gradient

logger = logging.getLogger(__name__)

Reward = Callable[[Any, Any], float]
"""From a generated value and the sample's reference to a number; larger is better."""


class Pictures(Sequence):
    """A caption table with a row for each picture, which holds all of its captions joined by &&.

    A picture's row is the first of its rows in the table. Rows that cannot be read are left out with a warning.
    """

    def __init__(self, table: Table):
        self.table, self.paths = table, table.paths
        self.numbers: list[int] = []
        self.captions: list[str] = []
        place: dict[str, int] = {}
        for number in range(len(table)):
            try:
                row = table[number]
            except RowError as error:
                logger.warning("bad row: %s", error)
                continue
            at = place.setdefault(row["image_id"], len(place))
            if at < len(self.numbers):
                self.captions[at] += f"&&{row['caption']}"
            else:
                self.numbers.append(number)
                self.captions.append(row["caption"])

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {**self.table[self.numbers[index]], "caption": self.captions[index]}

    def ahead(self, indices: Iterable[int]) -> None:
        """These rows are read next."""
        self.table.ahead([self.numbers[index] for index in indices])

    def locate(self, index: int) -> tuple[Path | str, int]:
        """The file and the row that a picture is read from."""
        return self.table.locate(self.numbers[index])

    def references(self) -> list[list[str]]:
        """The captions of each picture, as the reward sees them."""
        return [references_in(caption) for caption in self.captions]


@dataclass(frozen=True)
class Sampled:
    """A batch with the outputs that the network made for it. M outputs of B samples in all."""

    inputs: Batch
    """The samples."""
    owner: LongTensor
    """(M,) the sample that each output belongs to."""
    previous: LongTensor
    """(M, T) decoder input."""
    target: LongTensor
    """(M, T) tokens of the outputs; 1 at padding and prompts."""
    reward: FloatTensor
    """(M,) reward above the baseline."""
    positions: LongTensor
    """(N,) those of the flattened (M * T) targets that are no padding or prompt."""

    @property
    def ids(self) -> list[str]:
        """The samples' names."""
        return self.inputs.ids

    def __len__(self) -> int:
        return len(self.inputs)


class SelfCritical(Objective):
    """-reward * log p of the outputs that beam search finds.

    Args:
        task: reads outputs back; its samples' references are what `reward` is given.
        reward: for captions `CiderD.score`.
        search: how outputs are found; by default as the task is evaluated. Its beam is the number of outputs.
    """

    generates = True

    def __init__(self, task: Task, reward: Reward, search: SearchConfig | None = None):
        self.task, self.reward, self.search = task, reward, search or task.search

    def prepare(self, net: nn.Module, batch: Batch) -> Sampled:
        """Generate outputs in evaluation mode and reward them."""
        net.eval()
        found = generate(net, batch, self.search, trie=self.task.trie)
        given = [0] * len(batch) if batch.prompt is None else ((batch.prompt != PAD).sum(1) - 1).tolist()
        owner, tokens, rewards, prompts = [], [], [], []
        for number, hypotheses in enumerate(found):
            reference = batch.references[number]
            values = [self.task.read(strip(h.tokens, batch, number), reference) for h in hypotheses]
            rewards += leave_one_out([self.reward(value, reference) for value in values])
            tokens += [h.tokens for h in hypotheses]
            owner += [number] * len(hypotheses)
            prompts += [given[number]] * len(hypotheses)
        device = batch.source.device
        bos = torch.tensor([Tokenizer.bos])
        target = pad(tokens)
        for row, length in enumerate(prompts):
            target[row, :length] = PAD
        check_targets(net, [batch.ids[number] for number in owner], target)
        return Sampled(
            inputs=batch,
            owner=send(torch.tensor(owner), device),
            previous=send(pad([torch.cat([bos, output[:-1]]) for output in tokens]), device),
            target=send(target, device),
            reward=send(torch.tensor(rewards), device),
            positions=send((target != PAD).flatten().nonzero().squeeze(1), device),
        )

    def size(self, batch: Sampled, updates: int) -> int:
        """The number of generated tokens."""
        return len(batch.positions)

    def __call__(self, net: nn.Module, batch: Sampled, updates: int) -> TokenLoss:
        """The loss of the batch's outputs. Each sample is encoded once for all of them."""
        encoded = net.encode(**batch.inputs.inputs()).select(batch.owner)
        code_mask = None if batch.inputs.code_mask is None else batch.inputs.code_mask[batch.owner]
        features = net.decode(batch.previous, encoded, code_mask, features_only=True)
        log_probs = net.project(features.flatten(0, 1)[batch.positions]).float().log_softmax(dim=-1)
        tokens, rewards = batch.target.flatten()[batch.positions], batch.reward[batch.positions // features.shape[1]]
        return policy_gradient(log_probs, net.columns(tokens), rewards)
