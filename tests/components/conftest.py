"""A small network, tables for it, and evaluations as they stand on disk."""

import io
import json
import random

import pytest
import torch
from kfp import local
from PIL import Image, ImageDraw

from components.evaluate.record import PREDICTIONS, Evaluation, Lineage, Speed
from components.lineage import ORIGIN, training_origin
from ofa.checkpoint import save_folder
from ofa.data import TABLES, TableWriter
from ofa.data.images import encode_base64
from ofa.model import OFAConfig, OFAModel
from ofa.tasks import create
from ofa.tasks.store import save_tasks
from ofa.text import Tokenizer
from pipelines.run import undisturbed

SETTINGS = {"patch_image_size": 64}
WORDS = "a the red green blue square circle is on of yes no 1 2 left right"


@pytest.fixture(scope="session")
def network(tmp_path_factory):
    """A function from a seed to the folder of a small random network that may say `WORDS` and boxes. Each says that it
    was trained from the one before."""
    folder = tmp_path_factory.mktemp("networks")
    tokens = Tokenizer.english()
    words = {token for word in WORDS.split() for token in tokens.encode(f" {word}")}
    allowed = sorted({0, 1, 2, 3} | words | {tokens.bin(n) for n in range(0, 126, 5)})

    def make(seed=0):
        path = folder / str(seed)
        if not path.exists():
            torch.manual_seed(seed)
            net = OFAModel(OFAConfig.preset("nano", d_model=32, ffn_dim=64, output_ids=tuple(allowed)))
            save_folder(path, net)
            save_tasks(path, {name: create(name, SETTINGS) for name in ("caption", "refcoco", "vqa")})
            origin = training_origin("any", SETTINGS, folder / str(seed - 1))
            (path / ORIGIN).write_text(json.dumps(origin))
        return str(path)

    return make


@pytest.fixture(scope="session")
def picture():
    """A function from a number to the bytes of a PNG that differs with it."""

    def make(number):
        rng = random.Random(number)
        image = Image.new("RGB", (80, 60), rng.choice(["red", "green", "blue"]))
        x, y = rng.randrange(40), rng.randrange(30)
        ImageDraw.Draw(image).rectangle((x, y, x + 20, y + 20), "white")
        content = io.BytesIO()
        image.save(content, "PNG")
        return content.getvalue()

    return make


@pytest.fixture(scope="session")
def write_table(tmp_path_factory, picture):
    """A function that writes a table of a kind; rows give what is special, the rest is filled in."""

    def write(kind, rows):
        path = tmp_path_factory.mktemp("table") / f"{kind}.tsv"
        with TableWriter(path, TABLES[kind]) as writer:
            for number, row in enumerate(rows):
                image = str(row.get("image_id", number))
                filled = {
                    "uniq_id": str(number),
                    "image_id": image,
                    "caption": "a red square",
                    "objects": "",
                    "text": "the square",
                    "box": "5,5,45,45",
                    "question": "Is it red?",
                    "answers": "1.0|!+yes&&0.3|!+no",
                    "image": encode_base64(picture(image)),
                } | row
                writer.write({column: filled[column] for column in TABLES[kind]})
        return str(path)

    return write


@pytest.fixture
def write_evaluation():
    """A function that writes an evaluation folder with one value of the primary metric a row."""

    def write(
        folder, values, task="refcoco", metric="Acc@0.5", data="d" * 64, checkpoint="c" * 64, baseline=0.1,
        bad_rows=0, megabytes=10.0, latency=20.0,
    ):  # fmt: skip
        score = sum(values) / len(values)
        Evaluation(
            task=task,
            metric=metric,
            scores={metric: score},
            interval=(score, score),
            baseline={"constant_box": {metric: baseline}},
            rows=len(values),
            bad_rows=bad_rows,
            speed=Speed(seconds=1.0, samples_per_second=9.0, latency_ms_p50=latency / 2, latency_ms_p95=latency),
            lineage=Lineage(
                checkpoint="model",
                checkpoint_sha256=checkpoint,
                checkpoint_bytes=int(megabytes * 1e6),
                table=["table.tsv"],
                table_sha256=data,
                table_dvc=None,
                git_commit=None,
                params_sha256=None,
                settings={},
                search={},
                versions={},
            ),
        ).save(folder)
        rows = [
            {
                "uniq_id": str(i),
                "image_id": str(i // 2),
                "row": i,
                "prompt": f"expression {i}",
                "prediction": [0, 0, 1, 1],
                "score": -0.5,
                "references": [[0, 0, 2, 2]],
                "measures": {metric: value},
            }
            for i, value in enumerate(values)
        ]
        (folder / PREDICTIONS).write_text("".join(json.dumps(row) + "\n" for row in rows))
        return str(folder)

    return write


@pytest.fixture
def kfp_here(tmp_path, monkeypatch, root):
    """KFP runs pipelines as processes with the project where the components look for it; a folder that gets what
    they make."""
    monkeypatch.setenv("PYTHONPATH", str(root))
    folder = tmp_path / "outputs"
    with undisturbed():
        runner = local.SubprocessRunner(use_venv=False)
        local.init(runner, pipeline_root=str(folder), workspace_root="", raise_on_error=True)
        yield folder
