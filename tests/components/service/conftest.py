"""Small random networks whose answers depend on the picture, and servers that answer with them."""

import dataclasses
import json
import random
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlparse

import pytest
import torch
from PIL import Image

from components.deploy.bundle import BUNDLE, EVALUATIONS, Bundle, Member, load_bundle
from components.deploy.promote import register
from components.deploy.registry import Registry
from components.lineage import checkpoint_hash
from ofa import OFA
from ofa.checkpoint import save_folder
from ofa.model import OFAConfig, OFAModel
from ofa.model.vqgan import VQGAN, VQGANConfig
from ofa.tasks import create
from ofa.tasks.store import save_tasks
from ofa.text import Tokenizer
from tests.components.service.running import Server, as_file

WORDS = "a the cat dog apple car tree sun star fish bird house boat flower ball on of red blue"
TASKS = {
    "caption": {"patch_image_size": 32},
    "refcoco": {"patch_image_size": 32},
    "vqa": {"patch_image_size": 32, "answers": WORDS.split()},
}

PROGRAM = """
import json, sys
from components.deploy.service.server import serve
from components.deploy.service.settings import ServiceSettings
from ofa.settings import build
serve(build(ServiceSettings, json.loads(sys.argv[1]), "settings"))
"""


@pytest.fixture(scope="session")
def make_checkpoint():
    """A function that writes the checkpoint folder of a task."""
    tokens = Tokenizer.english()
    words = {token for word in WORDS.split() for token in tokens.encode(f" {word}")}
    allowed = sorted({0, 1, 2, 3} | words | {tokens.bin(n) for n in range(0, 64, 2)})

    def make(folder, task, seed):
        torch.manual_seed(seed)
        net = OFAModel(OFAConfig.preset("nano", d_model=32, ffn_dim=64, output_ids=tuple(allowed)))
        with torch.no_grad():  # random networks hardly look at pictures and say one thing for ever: change both
            net.encoder.image_projection.weight.mul_(30)
            for layer in net.decoder.layers:
                layer.attention_output_norm.weight.mul_(8)
                layer.cross_attention_output_norm.weight.mul_(8)
        save_folder(folder, net)
        save_tasks(folder, {task: create(task, TASKS[task])})

    return make


@pytest.fixture(scope="session")
def models(tmp_path_factory, make_checkpoint):
    """A folder of checkpoint folders named after their tasks."""
    folder = tmp_path_factory.mktemp("models")
    for seed, task in enumerate(TASKS):
        make_checkpoint(folder / task, task, seed)
    return folder


@pytest.fixture(scope="session")
def versatile(tmp_path_factory):
    """A checkpoint folder that was trained for everything but detection; it paints with two codes, 16 a picture."""
    folder = tmp_path_factory.mktemp("versatile")
    tokens = Tokenizer.english()
    words = {token for word in WORDS.split() for text in (word, f" {word}") for token in tokens.encode(text)}
    bins = {tokens.bin(number) for number in range(0, 64, 2)}
    torch.manual_seed(1)
    allowed = tuple(sorted({0, 1, 2, 3, tokens.code(0), tokens.code(1)} | words | bins))
    net = OFAModel(OFAConfig.preset("nano", d_model=32, ffn_dim=64, output_ids=allowed, code_image_size=32))
    with torch.no_grad():
        net.encoder.image_projection.weight.mul_(30)
        for layer in net.decoder.layers:
            layer.cross_attention_output_norm.weight.mul_(8)
    tasks = TASKS | dict.fromkeys(("vision_language", "image_classify"), {"patch_image_size": 32})
    tasks |= {"image_gen": {"code_image_size": 32}, "gigaword": {}}
    vqgan = VQGAN(VQGANConfig.preset("nano", channels=8, code_dim=8, codes=2))
    OFA(net, tasks, "cpu", vqgan.eval()).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def pictures():
    """The files of 100 pictures; each has colors and a size of its own."""
    rng = random.Random(0)

    def color():
        return tuple(rng.randrange(256) for _ in range(3))

    found = []
    for number in range(100):
        image = Image.new("RGB", (40 + number, 139 - number), color())
        image.paste(color(), (5, 5, 5 + rng.randrange(5, 35), 35))
        found.append(as_file(image))
    return found


@pytest.fixture(scope="session")
def launch(tmp_path_factory, root):
    """A function from settings to a server, ready unless told otherwise. All end with the session."""
    running = []

    def start(ready=True, **settings):
        folder = tmp_path_factory.mktemp("server")
        settings = {"port": 0, "threads": 1, "cache": str(folder / "cache")} | settings
        log = folder / "log"
        with open(log, "w") as file:
            command = [sys.executable, "-c", PROGRAM, json.dumps(settings, default=str)]
            server = Server(subprocess.Popen(command, cwd=root, stderr=file), log)
        running.append(server.process)
        server.wait_until(server.is_listening)
        if ready:
            server.wait_until(server.is_ready)
        return server

    yield start
    for process in running:
        process.kill()
        process.wait()


@pytest.fixture(scope="session")
def server(launch, models):
    """A server whose items wait a little, so that batches form."""
    return launch(model=models, max_wait_ms=20)


@pytest.fixture(scope="session")
def releases(tmp_path_factory, make_checkpoint):
    """Bundles 1, 2 and 3; the third one's weights are cut off."""
    folder = tmp_path_factory.mktemp("releases")
    for number in "123":
        place = folder / number
        make_checkpoint(place / "caption", "caption", int(number))
        search = {"beam": 2, "max_len_b": 12}
        digest, _ = checkpoint_hash(place / "caption")
        member = Member(
            checkpoint_sha256=digest, table_sha256="d" * 64, metric="CIDEr", score=1.5, interval=(1, 2), search=search
        )
        content = Bundle(tasks={"caption": member}, git_commit=None, params_sha256=None)
        (place / BUNDLE).write_text(json.dumps(dataclasses.asdict(content)))
    weights = folder / "3" / "caption" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    return folder


@pytest.fixture
def store(tmp_path, releases, write_evaluation):
    """A registry with the bundles as versions 1, 2 and 3, the first of them the champion."""
    kept = releases / "mlflow.db"
    if not kept.exists():  # registering takes seconds: once for all tests, each of which gets a copy
        store = Registry(f"sqlite:///{kept}")
        evaluations = releases / "1" / EVALUATIONS / "caption"
        evaluations.mkdir(parents=True)
        write_evaluation(evaluations, [1.5], task="caption", metric="CIDEr")
        assert register(str(releases / "1"), store) == "1"
        first = Path(urlparse(store.client.get_model_version_download_uri("ofa", "1")).path)
        for number in "23":
            copy = shutil.copytree(first, releases / f"logged-{number}")
            shutil.copytree(releases / number, copy / "artifacts" / "1", dirs_exist_ok=True)
            tags = {"bundle_sha256": load_bundle(releases / number).sha256}
            store.client.create_model_version("ofa", copy.as_uri(), tags=tags)
        store.set_alias("champion", "1")
    shutil.copy(kept, tmp_path)
    return Registry(f"sqlite:///{tmp_path}/mlflow.db")
