"""All draws of the mixture come from (seed, epoch, index): not from workers, ranks or what was read before."""

import hashlib
from collections import Counter
from itertools import islice

import pytest

from ofa.data.batch import PAD, Batch
from ofa.data.mixing import Stream
from ofa.settings import build
from ofa.tasks.pretrain import PretrainSettings, sources

STEPS = 6


@pytest.fixture(scope="module")
def mixture(rows, negatives):
    """The four tables with everything that is drawn: sizes, crops, distortions, negatives, noise, jitter."""
    small = {"patch_image_size": 64, "max_image_size": 64}
    pictures = small | {"max_short_side": 80, "max_long_side": 112, "negatives": negatives, "region_caption_ratio": 0.5}
    pictures |= {"matching_ratio": 0.7}
    settings = {"vision_language": pictures, "detection": small, "text": {"random_ratio": 0.2}}
    tables = {kind: rows(kind) for kind in ("vision_language", "text", "image", "detection")}
    return sources(tables, build(PretrainSettings, settings, "test"))


def steps(mixture, **where) -> list[Counter]:
    """The samples of each step, as often as they occur."""
    stream = Stream(mixture, batch_size=12, **where)
    return [samples(batch) for batch in islice(stream, STEPS)]


def samples(batch: Batch) -> Counter:
    """Each sample as a hash of all that the network gets of it."""
    found = []
    index = range(len(batch)) if batch.image_index is None else batch.image_index.tolist()
    for number, name in enumerate(batch.ids):
        digest = hashlib.sha256(name.encode())
        for tokens in (batch.source, batch.previous, batch.target):
            row = tokens[number].tolist()
            while row and row[-1] == PAD:
                row.pop()
            digest.update(str(row).encode())
        if batch.image_mask[number]:
            digest.update(batch.images[index[number]].contiguous().numpy().tobytes())
        found.append(digest.hexdigest())
    return Counter(found)


@pytest.fixture(scope="module")
def alone(mixture) -> list[Counter]:
    return steps(mixture)


@pytest.mark.parametrize(("workers", "world"), [(1, 1), (2, 1), (0, 2), (2, 3)])
def test_workers_and_ranks_share_out_the_same_samples(mixture, alone, workers, world):
    ranks = [steps(mixture, workers=workers, rank=rank, world=world) for rank in range(world)]
    assert [sum(parts, Counter()) for parts in zip(*ranks, strict=True)] == alone


def test_epochs_and_seeds_draw_anew(mixture, alone):
    assert steps(mixture) == alone
    other = steps(mixture, seed=1)
    assert all(ours != theirs for ours, theirs in zip(alone, other, strict=True))
    # Steps 0, 2 and 4 read the eight rows of vision and language once each.
    assert alone[0] != alone[2] != alone[4]
