"""Self-critical training: the loss is that of its definition, and the reward rises."""

from dataclasses import replace

import pytest
import torch

from ofa.data import TABLES, Table
from ofa.data.batch import PAD
from ofa.generate import SearchConfig, generate
from ofa.train.loop import train
from ofa.train.scst import Pictures, SelfCritical
from tests.train import toy

SEARCH = SearchConfig(beam=3, max_len_b=4)


class Task(toy.Task):
    """The answer is rewarded for each word that names the right quarter, and punished for each other."""

    search, trie = SEARCH, None

    def sample(self, row, train, rng):
        return replace(super().sample(row, train, rng), reference=4 + row["quarter"])

    def read(self, tokens, reference) -> list[int]:
        return tokens


def reward(tokens: list[int], quarter: int) -> float:
    return sum(1.0 if token == quarter else -1.0 for token in tokens)


def test_loss_is_minus_the_advantage_times_the_log_probability():
    net = toy.network(seed=1).eval()
    batch = toy.stream(toy.settings(batch_size=4), task=Task()).batch(0)
    objective = SelfCritical(Task(), reward)
    sampled = objective.prepare(net, batch)
    result = objective(net, sampled, updates=0)

    expected, size = 0.0, 0
    for number, hypotheses in enumerate(generate(net, batch, SEARCH)):
        outputs = [h.tokens.tolist() for h in hypotheses]
        rewards = [reward(output[:-1], batch.references[number]) for output in outputs]
        for output, own in zip(outputs, rewards, strict=True):
            others = [r for i, r in enumerate(rewards) if i != outputs.index(output)]
            logits = net(batch.source[[number]], torch.tensor([[0, *output[:-1]]]), batch.images_normalized[[number]])[
                0
            ]
            log_probs = logits.log_softmax(-1)[torch.arange(len(output)), torch.tensor(output)]
            expected -= (own - sum(others) / len(others)) * log_probs.sum().item()
            size += len(output)
    assert objective.size(sampled, 0) == result.size == size
    assert result.loss.item() == pytest.approx(expected, rel=1e-4, abs=1e-4)


def test_prompts_are_given_and_not_learned():
    net = toy.network(seed=1).eval()
    batch = toy.stream(toy.settings(batch_size=4), task=Task()).batch(0)
    batch = replace(batch, prompt=torch.tensor([[0, 10, 11], [0, 10, PAD], [0, PAD, PAD], [0, 11, PAD]]))
    sampled = SelfCritical(Task(), reward).prepare(net, batch)
    lengths = torch.tensor([2, 1, 0, 1])[sampled.owner]
    for previous, target, sample, length in zip(sampled.previous, sampled.target, sampled.owner, lengths, strict=True):
        assert previous[: length + 1].tolist() == batch.prompt[sample, : length + 1].tolist()
        assert (target[:length] == PAD).all() and target[length] != PAD


def test_training_prefers_the_better_of_the_sampled_outputs(tmp_path):
    config = toy.settings(steps=4, batch_size=4, lr=1e-4, schedule="constant", precision="fp32")
    net = toy.network(freeze_resnet=True)
    stream = toy.stream(config, task=Task())
    objective = SelfCritical(Task(), lambda tokens, _: float(sum(tokens)))
    sampled = objective.prepare(net, stream.batch(0))

    def preferred() -> float:
        with torch.no_grad():
            return -objective(net.eval(), sampled, 0).loss.item()

    before = preferred()
    assert sampled.reward.abs().max() > 0
    train(net, stream, config, tmp_path, objective=objective)
    assert preferred() > before


def test_a_picture_has_one_row_with_all_of_its_captions(tmp_path, caplog):
    path = tmp_path / "caption_train.tsv"
    rows = ["1\tcat\tA cat.\t\tQUJD", "2\tdog\ta dog\t\tREVG", "broken", "3\tcat\tthe cat, again\t\tQUJD"]
    path.write_text("\n".join(rows) + "\n")
    pictures = Pictures(Table(path, TABLES["caption"]))
    assert [row["caption"] for row in pictures] == ["A cat.&&the cat, again", "a dog"]
    assert [bytes(row["image"]) for row in pictures] == [b"QUJD", b"REVG"]
    assert pictures.references() == [["A cat", "the cat again"], ["a dog"]]
    assert pictures.locate(1) == (path, 1)
    assert "row 2" in caplog.text
