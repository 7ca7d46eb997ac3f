"""A run that is killed and started again ends with the weights of a run that was left alone, bit by bit."""

import json
import logging
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from ofa.errors import OFAError
from ofa.train.history import History
from ofa.train.loop import train
from ofa.train.preemption import Preempted
from tests.train import toy

SETTINGS = dict(steps=30, batch_size=8, accumulate=2, ema_decay=0.9, checkpoint_every=7)
NETWORK = {"dropout": 0.1, "encoder_drop_path": 0.1}


def run(out: Path, callbacks=(), **changes) -> dict[str, torch.Tensor]:
    config = toy.settings(**SETTINGS | changes)
    net = toy.network(**NETWORK)
    train(net, toy.stream(config), config, out, callbacks)
    return toy.weights(net)


def start(out: Path, root: Path, **changes) -> subprocess.Popen:
    settings = SETTINGS | {"network": NETWORK} | changes
    words = [f"{key}={json.dumps(value)}" for key, value in settings.items()]
    command = [sys.executable, str(root / "tests/train/toy.py"), str(out), *words]
    env = {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, cwd=root, env=env, start_new_session=True)


def steps(out: Path) -> list[int]:
    path = out / "history.csv"
    return [int(line.split(",")[0]) for line in path.read_text().splitlines()[1:]] if path.exists() else []


def wait_for_step(process: subprocess.Popen, out: Path, step: int) -> None:
    deadline = time.monotonic() + 120
    while (steps(out) or [0])[-1] < step:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.002)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> dict[str, torch.Tensor]:
    torch.set_num_threads(1)
    return run(tmp_path_factory.mktemp("undisturbed"))


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())


def test_sigkill_at_any_step_changes_nothing(tmp_path, root, undisturbed):
    for step in sorted(random.Random().sample(range(1, 25), 2)):
        process = start(tmp_path, root)
        wait_for_step(process, tmp_path, step)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert same(run(tmp_path), undisturbed)
    assert steps(tmp_path) == list(range(1, 31))


def test_sigterm_to_the_whole_group_writes_a_checkpoint_and_exits_with_143(tmp_path, root, undisturbed):
    assert start(tmp_path, root, workers=1, terminate=[10, "group"]).wait() == 143
    assert steps(tmp_path)[-1] == 10
    assert (tmp_path / "checkpoints" / "step_00000010").is_dir()
    assert same(run(tmp_path), undisturbed)


def test_a_stop_leaves_the_checkpoint_of_that_step_alone(tmp_path, undisturbed):
    config = toy.settings(**SETTINGS)
    folder = tmp_path / "checkpoints" / "step_00000014"
    stream = toy.stream(config)
    written = []

    def batches():
        for batch in stream:
            if stream.step == 14 * config.accumulate + 1:
                while not folder.is_dir():
                    time.sleep(0.002)
                written.append(folder.stat().st_ino)
                signal.raise_signal(signal.SIGTERM)
            yield batch

    class Watched:
        step = 0

        def __iter__(self):
            stream.step = self.step
            return batches()

    with pytest.raises(Preempted):
        train(toy.network(**NETWORK), Watched(), config, tmp_path)
    assert written == [folder.stat().st_ino]
    assert same(run(tmp_path), undisturbed)


class Crash(Exception):
    pass


def crash_at(step: int):
    def callback(now: int, _) -> None:
        if now == step:
            raise Crash

    return callback


def crashed(out: Path, step: int) -> None:
    with pytest.raises(Crash):
        run(out, [crash_at(step)])


def test_a_damaged_checkpoint_is_passed_over_with_a_warning(tmp_path, undisturbed, caplog):
    crashed(tmp_path, 16)
    file = tmp_path / "checkpoints" / "step_00000014" / "rank_00000.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        weights = run(tmp_path)
    assert "step_00000014 is damaged: rank_00000.safetensors" in caplog.text
    assert same(weights, undisturbed)


def test_a_finished_run_is_not_repeated(tmp_path):
    first = run(tmp_path, steps=5)
    seen = []
    assert same(run(tmp_path, [lambda step, _: seen.append(step)], steps=5), first)
    assert seen == []


def test_a_run_with_other_settings_is_not_continued(tmp_path):
    run(tmp_path, steps=5)
    with pytest.raises(OFAError, match="lr: 0.01 then, 0.02 now"):
        run(tmp_path, steps=5, lr=0.02)


def test_a_run_that_started_from_other_weights_is_not_continued(tmp_path):
    run(tmp_path, steps=5)
    config = toy.settings(**SETTINGS | {"steps": 5})
    with pytest.raises(OFAError, match="initial weights: [0-9a-f]+ then, [0-9a-f]+ now"):
        train(toy.network(seed=1, **NETWORK), toy.stream(config), config, tmp_path)


def test_a_run_with_other_settings_can_be_restarted(tmp_path):
    run(tmp_path / "changed", steps=5)
    config = toy.settings(**SETTINGS | {"steps": 5, "lr": 0.02})
    net = toy.network(**NETWORK)
    train(net, toy.stream(config), config, tmp_path / "changed", restart=True)
    assert same(toy.weights(net), run(tmp_path / "fresh", steps=5, lr=0.02))
    assert steps(tmp_path / "changed") == [1, 2, 3, 4, 5]


def test_settings_without_influence_may_change(tmp_path, undisturbed):
    crashed(tmp_path, 16)
    assert same(run(tmp_path, log_every=7, checkpoint_every=20, keep=5), undisturbed)


def test_an_unfinished_last_line_of_the_history_is_dropped(tmp_path):
    path = tmp_path / "history.csv"
    path.write_text("step,loss\n1,0.5\n2,0.4\n3,0.")
    history = History(path)
    history.truncate(5)
    history.add(3, {"loss": 0.3})
    assert path.read_text() == "step,loss\n1,0.5\n2,0.4\n3,0.3\n"
