"""Training on a GPU, as far as a machine without one can tell: nothing is left on the CPU, and a step waits but once.

What `tests.train.imagined` leaves out - the numbers, fused kernels, NCCL, the compiler - is for `make gpu`.
"""

import io
import json
import random
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from components.train.finetune import validation
from components.train.samples import Samples
from ofa.data.mixing import Source, Stream
from ofa.model.vqgan import VQGAN, VQGANConfig
from ofa.tasks.caption import Caption, CaptionSettings
from ofa.train.cider import CiderD
from ofa.train.config import TrainConfig
from ofa.train.loop import train
from ofa.train.scst import SelfCritical
from ofa.train.stem import StemTables, pretrain_stem
from ofa.train.vqgan import CodingConfig, train_vqgan
from tests.train import toy
from tests.train.imagined import imagined_gpu
from tests.train.launch import fork

NORM = "ofa/train/optimizer.py:AdamW.clip"
"""The place that waits once a step, for the norm of the gradient."""
AROUND = (
    "ofa/train/loop.py:_Trainer.__init__",
    "ofa/train/reproducible.py:fingerprint",
    "ofa/train/stem/__init__.py:pretrain_stem",
    "ofa/train/optimizer.py:AdamW.refresh",
    "ofa/train/compact.py:CompactVocabulary.write_back",
    "ofa/train/history.py:Window.flush",
    "ofa/train/storage.py:save",
)
"""Places that wait outside of steps: at the start, for a record, for a checkpoint."""
SEARCH = ("ofa/generate/", "ofa/train/scst.py:SelfCritical.prepare")
MEASURES = ("ofa/train/stem/network.py:_truth", "ofa/train/stem/network.py:measure", "ofa/train/vqgan.py:")

REAL = {"vocabulary_size": 59457, "max_source_positions": 32, "max_target_positions": 32, "resnet_width": 8}
"""What the vocabulary and the texts of real tasks need of a network."""


class Everything(toy.Task):
    """Answer spaces, blank regions, drawn patches, and outputs of codes beside outputs of text."""

    def sample(self, row: dict, train: bool, rng: random.Random):
        sample = super().sample(row, train, rng)
        allowed = [torch.tensor([4, 5, 6, 7, 2])] * len(sample.target)
        return replace(sample, allowed=allowed, blank=(0, 0, 8, 8), patch_sample=3, code_mask=row["id"] % 2 == 0)


def rows(**columns: str) -> list[dict]:
    content = io.BytesIO()
    Image.new("RGB", (64, 64), "red").save(content, "PNG")
    return [{"uniq_id": str(i), "image_id": str(i), "image": content.getvalue()} | columns for i in range(8)]


def sequences(config: TrainConfig, out: Path, task: toy.Task | None = None, **network) -> None:
    train(toy.network(**network), toy.stream(config, task=task), config, out)


def captions(config: TrainConfig, out: Path, scst: bool = False, **network) -> None:
    task = Caption(CaptionSettings(patch_image_size=64, scst=scst))
    table = rows(caption="a red square&&all is red")
    validate = validation(task, table, 4, Samples(lambda *_: None))
    objective = SelfCritical(task, CiderD.from_corpus([["a red square"], ["nothing"]]).score) if scst else None
    stream = Stream([Source(table=table, task=task)], config.batch_size // config.accumulate)
    train(toy.network(**REAL | network), stream, config, out, validate=validate, objective=objective)


def stem(config: TrainConfig, out: Path, **network) -> None:
    tables = StemTables(
        objects=rows(boxes="0,0,40,40,1,square"), regions={"english": rows(text="the square", box="0,0,40,40")}
    )
    pretrain_stem(toy.network(**REAL | network), tables, config, out, image_size=64, valid=tables)


def vqgan(config: TrainConfig, out: Path) -> None:
    net = VQGAN(VQGANConfig.preset("nano", channels=8, code_dim=16, codes=16))
    config = replace(config, steps=2)  # one without codes, one with
    train_vqgan(net, rows(), CodingConfig(image_size=16, uncoded=0.5), config, out, valid=rows())


FEW = {"output_ids": tuple(range(59457))}
FEW_HERE = {"output_ids": tuple(range(toy.VOCABULARY - 1))}

CASES: dict[str, tuple[Callable, dict, dict, tuple[str, ...]]] = {
    "smoothed": (sequences, {}, {"label_smoothing": 0.1, "ema_decay": 0.9, "accumulate": 2}, ()),
    "worst dropped, two passes, encouraged": (
        sequences,
        {"dropout": 0.1, "encoder_drop_path": 0.1},
        {"drop_worst_ratio": 0.2, "rdrop_alpha": 1.0, "encouraging_log_end": 0.75, "freeze": ("encoder.resnet.*",)},
        (),
    ),
    "answer spaces, codes": (sequences, {"task": Everything(), "image_bucket_size": 6}, {"label_smoothing": 0.1}, ()),
    "a range of codes": (sequences, {}, {"allowed_range": [4, 10]}, ()),
    "few outputs, a range of codes": (sequences, FEW_HERE, {"allowed_range": [4, 10]}, ()),
    "few outputs, answer spaces, words that stay": (
        sequences,
        FEW_HERE | {"task": Everything(), "image_bucket_size": 6},
        {"freeze": ("embed_tokens.*",)},
        (),
    ),
    "prompts, adapters, biases": (
        sequences,
        {"adapter_dim": 4, "encoder_prompt_length": 3, "decoder_prompt_length": 2, "bitfit": True},
        {},
        (),
    ),
    "few outputs, validated": (captions, FEW, {}, SEARCH),
    "self-critical, validated": (captions, {"scst": True}, {}, SEARCH),
    "self-critical, few outputs": (captions, {"scst": True} | FEW, {}, SEARCH),
    "stem": (stem, {}, {}, MEASURES),
    "stem with few outputs": (stem, FEW, {}, MEASURES),
    "vqgan": (vqgan, {}, {}, MEASURES),
}
"""What trains, with what, under which settings, and which other places may wait."""


@pytest.fixture(scope="module", params=["cuda", "made-up"])
def found(request, tmp_path_factory) -> dict[str, dict]:
    """Of each case the error, or the places that waited and how often."""
    out = tmp_path_factory.mktemp("gpu")
    precision = "bf16" if request.param == "cuda" else "fp32"

    def run() -> None:
        results = {}
        with imagined_gpu(request.param.replace("-", "_")) as gpu:
            for name, (case, arguments, changes, _) in CASES.items():
                gpu.waits.clear()
                settings = {"steps": 1, "precision": precision, "device": gpu.kind, "log_every": 100}
                try:
                    case(toy.settings(**settings | changes), out / name, **arguments)
                    results[name] = {"waits": dict(gpu.waits), "on": gpu.kind}
                except Exception:
                    results[name] = {"error": traceback.format_exc()}
        (out / "found.json").write_text(json.dumps(results))

    fork(1, run)
    return json.loads((out / "found.json").read_text())


@pytest.mark.parametrize("case", CASES)
def test_a_step_runs_there_and_waits_once(found, case):
    assert "error" not in found[case], found[case]["error"]
    waits = found[case]["waits"]
    if found[case]["on"] == "cuda":
        assert waits.pop(NORM) == (2 if case == "vqgan" else 1)
        assert [place for place in waits if not place.startswith(AROUND + CASES[case][3])] == []
