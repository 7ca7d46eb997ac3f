"""One round of `tests.train.torture`: a rank is killed while all of them write a checkpoint."""

import random

import torch

from tests.train.torture import Case, check, interruption, run


def test_a_rank_killed_while_a_checkpoint_is_written_changes_nothing(tmp_path):
    torch.set_num_threads(1)
    case = Case(ranks=2, parallel="fsdp", checkpoint_every=1, validate_every=3)
    expected, out = tmp_path / "expected", tmp_path / "out"
    expected.mkdir()
    out.mkdir()
    assert run(case, expected)
    assert not run(case, out, interruption("writing", random.Random(), out, seconds=0.5))
    assert run(case, out)
    check(out, expected, exact=True)
