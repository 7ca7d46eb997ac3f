"""Checkpoints on disk, whatever kills the process that writes them."""

import multiprocessing
import os
import pickle
import shutil
import signal
import sys
from itertools import count

import pytest
import torch

from ofa.errors import OFAError
from ofa.train.checkpoints import Checkpoints
from tests.train.toy import ALONE


def tensors(step: int, *parts: str) -> dict[str, torch.Tensor]:
    return {f"{part}.weight": torch.full((3,), float(step)) for part in parts}


def save(checkpoints: Checkpoints, step: int, best: bool) -> None:
    """What training does at a step whose validation is the best so far, or is not."""
    if best:
        checkpoints.save_best(step, tensors(step, "model"), {"step": step})
    checkpoints.save(step, tensors(step, "model", "optimizer"), {"step": step, "best_step": step if best else 2})
    checkpoints.wait()


def killed_after(events: int, folder) -> bool:
    """Save step 3 over steps 1 and 2 in a process that gets SIGKILL at a file operation; False if it came through."""

    def run() -> None:
        numbers = count()

        def kill(event: str, arguments: tuple) -> None:
            touches = event == "open" or event.startswith(("os.", "shutil."))
            if touches and str(folder) in str(arguments[0]) and next(numbers) == events:
                os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(kill)
        save(Checkpoints(folder, 2, ALONE), 3, best=True)

    process = multiprocessing.get_context("fork").Process(target=run)
    process.start()
    process.join(timeout=60)
    return process.exitcode == -signal.SIGKILL


def check_whole(folder) -> int:
    """The latest checkpoint and the best weights that it refers to can be read and are those of their steps."""
    checkpoints = Checkpoints(folder, 2, ALONE)
    step, state = checkpoints.latest()
    assert step == state["step"]
    found = tensors(0, "model", "optimizer")
    checkpoints.load(step, found)
    assert {name: value.tolist() for name, value in found.items()} == dict.fromkeys(found, [step] * 3)
    found = tensors(0, "model")
    checkpoints.load_best(state["best_step"], found)
    assert found["model.weight"].tolist() == [state["best_step"]] * 3
    return step


def test_sigkill_at_every_file_operation_of_a_save_leaves_a_whole_checkpoint(tmp_path):
    before = Checkpoints(tmp_path / "before", 2, ALONE)
    save(before, 1, best=True)
    save(before, 2, best=True)
    reached = []
    for events in count():
        folder = tmp_path / str(events)
        shutil.copytree(tmp_path / "before", folder)
        killed = killed_after(events, folder)
        reached.append(check_whole(folder))
        after = Checkpoints(folder, 2, ALONE)
        after.clean(after=reached[-1])
        save(after, reached[-1] + 1, best=False)
        assert check_whole(folder) == reached[-1] + 1
        assert not list(folder.glob(".*"))
        if not killed:
            break
    assert reached == sorted(reached) and set(reached) == {2, 3} and len(reached) > 10


def test_the_last_ones_stay_and_the_best_weights_that_they_refer_to(tmp_path):
    checkpoints = Checkpoints(tmp_path, 2, ALONE)
    for step, best in {1: True, 2: True, 3: False, 4: False, 5: False}.items():
        save(checkpoints, step, best)
        assert checkpoints.steps() == list(range(max(step - 1, 1), step + 1))
    assert checkpoints.steps("best") == [2]


def test_damaged_best_weights_are_named(tmp_path):
    checkpoints = Checkpoints(tmp_path, 1, ALONE)
    save(checkpoints, 1, best=True)
    file = tmp_path / "best_00000001" / "rank_00000.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"\x00")
    with pytest.raises(OFAError, match="best_00000001 is damaged: rank_00000.safetensors differs from its checksum"):
        checkpoints.load_best(1, tensors(0, "model"))


class Bomb:
    """Unpickled, it makes a folder."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


def test_reading_runs_nothing_that_lies_in_the_folder(tmp_path):
    checkpoints = Checkpoints(tmp_path / "run", 1, ALONE)
    save(checkpoints, 1, best=False)
    for name in (".metadata", "__0_0.distcp", "optimizer.pt"):  # what DCP's own format and torch.save leave
        (tmp_path / "run" / "step_00000001" / name).write_bytes(pickle.dumps(Bomb(tmp_path / "exploded")))
    step, _ = checkpoints.latest()
    found = tensors(0, "model", "optimizer")
    checkpoints.load(step, found)
    assert found["model.weight"].tolist() == [1.0] * 3
    assert not (tmp_path / "exploded").exists()


def test_what_the_checkpoint_lacks_is_named(tmp_path):
    checkpoints = Checkpoints(tmp_path, 1, ALONE)
    save(checkpoints, 1, best=False)
    with pytest.raises(OFAError, match="cannot read the checkpoint .*step_00000001: rank 0: .*ema.weight"):
        checkpoints.load(1, tensors(0, "model", "ema"))
