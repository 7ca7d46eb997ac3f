"""What only a GPU can show of the search: `pytest -m gpu tests/generate -s`. Without one the same is tried on the CPU,
with few and small numbers.
"""

import json
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
import torch
from PIL import Image

from ofa import OFA
from ofa.device import exact_float32
from ofa.generate import SearchConfig, Trie, generate, score_candidates
from tests.generate.networks import small_inputs, small_network

pytestmark = pytest.mark.gpu

GPU = torch.cuda.is_available()
DEVICE = "cuda" if GPU else "cpu"
SIZE, PICTURES, BATCH = ("base", 320, 16) if GPU else ("nano", 6, 2)
COCO = 48_000
"""Pictures to be captioned in a lunch break, an hour: 13.4 a second."""
TRIE = Trie([[4], [5], [5, 6], [5, 6, 7], [9, 10, 11], [20, 21, 22]])
SEARCHES = {
    "beam": ({"beam": 5, "no_repeat_ngram": 3}, None),
    "trie": ({"beam": 3, "unnormalized": True}, TRIE),
    "sampling": ({"beam": 3, "sampling": True, "top_p": 0.9}, None),
}


@pytest.fixture(autouse=True)
def exact():
    """Matrices of float32 are multiplied in float32."""
    with exact_float32("fp32"):
        yield


def best(name, device, dtype=torch.float32, compiled=False):
    """The tokens of the best output of 32 samples, by the search of this name."""
    settings, trie = SEARCHES[name]
    net, inputs = small_network().to(device, dtype), small_inputs(32, prompts=True)
    inputs.seeds = list(range(32))
    found = generate(net, inputs.to(device), SearchConfig(**settings), trie=trie, compiled=compiled)
    return [hypotheses[0].tokens.tolist() for hypotheses in found]


def agreeing(found, expected):
    return sum(one == other for one, other in zip(found, expected, strict=True)) / len(expected)


@pytest.mark.parametrize("name", SEARCHES)
def test_the_gpu_finds_what_the_cpu_finds(name):
    """Other kernels round otherwise: where two outputs are as good as one another, the other one may be chosen."""
    assert agreeing(best(name, DEVICE), best(name, "cpu")) > 0.95


@pytest.mark.parametrize("name", SEARCHES)
def test_compiled_steps_find_the_same(name):
    torch._dynamo.reset()
    assert agreeing(best(name, DEVICE, compiled=True), best(name, DEVICE)) > 0.95


@pytest.mark.parametrize("name", ["beam", "trie"])
def test_bf16_finds_most_of_it(name):
    """Eight bits of a number decide otherwise where outputs are close, which those of a random network often are."""
    assert agreeing(best(name, DEVICE, torch.bfloat16), best(name, DEVICE)) > 0.5


def test_candidates_score_the_same():
    net, inputs = small_network(), small_inputs(8, prompts=True)
    expected = score_candidates(net, inputs, TRIE.candidates)
    found = score_candidates(net.to(DEVICE), inputs.to(DEVICE), TRIE.candidates)
    torch.testing.assert_close(found.cpu(), expected, atol=1e-3, rtol=0)


@pytest.mark.skipif(not GPU, reason="needs a GPU")
def test_a_step_waits_once():
    """As the GPU itself reports it."""
    import warnings

    net, inputs, steps = small_network().to("cuda"), small_inputs(8).to("cuda"), []
    step = net.step
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as waits:
            warnings.simplefilter("always")
            net.step = lambda tokens, cache: steps.append(len(waits)) or step(tokens, cache)
            generate(net, inputs, SearchConfig(min_len=16))
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert len(steps) > 10 and max(after - before for before, after in pairwise(steps)) <= 1


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """A network with the size's shapes and random weights. It never ends a caption, which is the longest way."""
    folder = tmp_path_factory.mktemp("network")
    OFA.from_config(SIZE, device="cpu").save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """Pictures of COCO's usual size."""
    folder, rng = tmp_path_factory.mktemp("photographs"), np.random.default_rng(0)
    for number in range(PICTURES):
        coarse = Image.fromarray(rng.integers(0, 256, (48, 64, 3), dtype=np.uint8))
        coarse.resize((640, 480), Image.Resampling.BICUBIC).save(folder / f"{number}.jpg", quality=90)
    return folder


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_captions_of_coco_take_a_lunch_break(root, tmp_path, network, photographs, precision, capsys):
    """By the program, with the search of captioning, from reading the pictures to the file."""
    out = tmp_path / "out.jsonl"
    words = [photographs, "--task", "caption", "--checkpoint", network, "--out", out, "--batch-size", BATCH]
    words += ["--precision", precision, "--device", "auto", *([] if GPU else ["--processes", 1])]
    command = [sys.executable, "-m", "pipelines.cli", "generate", *map(str, words)]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert len(rows) == PICTURES and all(isinstance(row["prediction"], str) for row in rows)
    # The first batches choose kernels and start the readers, however many follow.
    seconds = [row["seconds"] for row in sorted(rows, key=lambda row: row["row"])[2 * BATCH :]]
    rate = len(seconds) / sum(seconds)
    with capsys.disabled():
        print(f"\n{SIZE} on {DEVICE} in {precision}: {rate:.1f} captions/s, {COCO / rate / 60:.0f} min for {COCO:,}")
    assert not GPU or rate > COCO / 3600
