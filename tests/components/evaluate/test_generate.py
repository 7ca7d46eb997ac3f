"""Predictions for pictures and tables come as they are made, each id once, whatever happens on the way."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from PIL import Image, ImageOps

from components.evaluate.generate import generate
from ofa import checkpoint
from ofa.data.batch import collate
from ofa.errors import OFAError
from ofa.generate.batch import compiled_extend
from ofa.generate.network import compiled_step
from ofa.tasks.store import load_task

SHORT = {"beam": 2, "max_len_a": 0, "max_len_b": 6}
"""Random networks never end a sentence by themselves."""


def lines(path):
    return [json.loads(line) for line in Path(path).read_text().splitlines() if line.endswith("}")]


def run(source, task, checkpoint, out, **others):
    return generate(str(source), task, checkpoint, out, **{"processes": 1, "search": SHORT} | others)


@pytest.fixture
def pictures(tmp_path, picture):
    """Five pictures in a folder and one below it, with a file that is none."""
    folder = tmp_path / "pictures"
    (folder / "more").mkdir(parents=True)
    for number, name in enumerate(["b.png", "a.PNG", "c.jpeg", "d.jpg", "more/e.webp", "f.png"]):
        (folder / name).write_bytes(picture(number))
    (folder / "notes.txt").write_text("no picture")
    return folder


@pytest.fixture
def graphs(monkeypatch):
    """The graphs that `torch.compile` makes, which are run as they are; the compiler takes minutes."""
    found = []

    def keep(graph, _):
        found.append(graph)
        return graph.forward

    def forget():
        torch._dynamo.reset()
        compiled_extend.cache_clear()
        compiled_step.cache_clear()

    forget()
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=keep))
    yield found
    forget()


def test_compiled_searches_say_the_same(tmp_path, network, pictures, graphs):
    found = []
    for compile in (False, True):
        out = tmp_path / f"{compile}.jsonl"
        run(pictures, "caption", network(), out, batch_size=8, compile=compile)
        found.append([(row["uniq_id"], row["prediction"], pytest.approx(row["score"], abs=1e-5)) for row in lines(out)])
        assert bool(graphs) == compile
    assert found[0] == found[1] and len(found[0]) == 6


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_convolutions_of_fp32_are_no_tf32(tmp_path, network, pictures, precision, monkeypatch):
    net, before, seen = checkpoint.load(network()), torch.backends.cudnn.allow_tf32, set()
    net.encoder.register_forward_hook(lambda *_: seen.add(torch.backends.cudnn.allow_tf32))
    monkeypatch.setattr(checkpoint, "load", lambda _: net)
    run(pictures, "caption", network(), tmp_path / "out.jsonl", precision=precision, limit=1)
    assert seen == {before and precision == "bf16"} and torch.backends.cudnn.allow_tf32 == before


@pytest.mark.parametrize("task, column", [("caption", ""), ("vqa", "question"), ("refcoco", "text")])
def test_pictures_of_a_folder_are_predicted_as_by_the_model(tmp_path, network, pictures, task, column):
    out = tmp_path / "out.jsonl"
    text = "Is it red?" if column else ""
    done = run(pictures, task, network(), out, text=text, batch_size=8)
    names = ["a.PNG", "b.png", "c.jpeg", "d.jpg", "f.png", "more/e.webp"]
    assert [row["uniq_id"] for row in lines(out)] == names and (done.rows, done.errors) == (6, [])

    known = load_task(network(), task)
    rows = [{"image": pictures / name, "objects": "", "uniq_id": name, column: text} for name in names]
    batch = collate([known.sample(row, False, random.Random(0)) for row in rows])
    with torch.inference_mode():
        expected = known.predict(checkpoint.load(network()).eval(), batch, replace(known.search, **SHORT))
    values = [list(p.value.xyxy) if task == "refcoco" else p.value for p in expected]
    assert [row["prediction"] for row in lines(out)] == values
    assert [row["score"] for row in lines(out)] == [p.score for p in expected]
    assert len({p.score for p in expected}) > 3, "pictures differ, so their order is checked"


def test_what_is_drawn_depends_on_seed_and_row_alone(tmp_path, network, pictures):
    """Not on the rows beside it, not on the process, not on where a run was stopped."""
    search = {"beam": 1, "max_len_b": 6, "sampling": True, "temperature": 1.5, "top_k": 50, "top_p": 0.9}

    def draw(name, **others):
        out = tmp_path / f"{name}.jsonl"
        run(pictures, "caption", network(), out, search=search, **others)
        return [row["prediction"] for row in lines(out)]

    expected = draw("together", batch_size=8, seed=1)
    assert len(set(expected)) == 6 and draw("alone", batch_size=1, seed=1) == expected
    draw("stopped", limit=2, seed=1)
    assert draw("stopped", batch_size=2, processes=2, seed=1) == expected
    other = draw("other", batch_size=8, seed=2)
    assert all(one != two for one, two in zip(expected, other, strict=True))
    with pytest.raises(OFAError, match="was made with another seed"):
        draw("stopped", seed=2)


def test_a_table_needs_no_truth(tmp_path, network, write_table):
    table = write_table("vqa", [{"answers": ""}, {"answers": "", "question": "How many?"}, {}])
    run(table, "vqa", network(), tmp_path / "out.jsonl")
    assert [row["uniq_id"] for row in lines(tmp_path / "out.jsonl")] == ["0", "1", "2"]


def test_captions_of_one_picture_are_one_prediction(tmp_path, network, write_table):
    table = write_table("caption", [{"image_id": "x"}, {"image_id": "x"}, {"image_id": "y"}])
    run(table, "caption", network(), tmp_path / "out.jsonl")
    assert [row["uniq_id"] for row in lines(tmp_path / "out.jsonl")] == ["x", "y"]


def test_a_killed_run_goes_on_and_others_help(tmp_path, network, pictures, root, picture):
    for number in range(6, 40):
        (pictures / f"{number}.png").write_bytes(picture(number))
    out = tmp_path / "out.jsonl"
    code = (
        "from components.evaluate.generate import generate\n"
        f"generate({str(pictures)!r}, 'caption', {network()!r}, {str(out)!r}, search={SHORT}, processes=1, "
        "batch_size=1)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], cwd=root, stderr=subprocess.DEVNULL)
    while not out.exists() or len(lines(out)) < 3:
        assert process.poll() is None, "it ended too early to be killed"
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    before = lines(out)
    assert 3 <= len(before) < 40
    with open(out, "a") as file:
        file.write('{"uniq_id": "39.png", "row": 5, "predic')  # as a kill in the middle of a write leaves it

    run(pictures, "caption", network(), out, processes=2, batch_size=8)
    after = {row["uniq_id"]: row for row in lines(out)}
    assert len(lines(out)) == len(after) == 40
    assert all(after[row["uniq_id"]]["seconds"] == row["seconds"] for row in before), "predicted once only"


def test_pictures_that_come_later_are_added(tmp_path, network, pictures, picture):
    out = tmp_path / "out.jsonl"
    run(pictures, "caption", network(), out)
    before = {row["uniq_id"]: row["seconds"] for row in lines(out)}
    (pictures / "aa.png").write_bytes(picture(9))
    run(pictures, "caption", network(), out)
    after = {row["uniq_id"]: row["seconds"] for row in lines(out)}
    assert sorted(after) == sorted([*before, "aa.png"]) and after.items() > before.items()
    assert [row["row"] for row in lines(out)] == list(range(7))


def test_a_broken_picture_is_a_line_and_is_tried_again(tmp_path, network, pictures, picture):
    (pictures / "b.png").write_bytes(b"no picture")
    out = tmp_path / "out.jsonl"
    done = run(pictures, "caption", network(), out, batch_size=2)
    assert done.rows == 5 and [row["uniq_id"] for row in done.errors] == ["b.png"]
    assert "b.png" in lines(out)[1]["error"] and len(lines(out)) == 6
    with pytest.raises(OFAError, match="max_bad_rows = 0"):
        run(pictures, "caption", network(), out, max_bad_rows=0)
    (pictures / "b.png").write_bytes(picture(0))
    assert run(pictures, "caption", network(), out).errors == []
    assert all("prediction" in row for row in lines(out))


@pytest.mark.parametrize("change", ["checkpoint", "text", "search", "source"])
def test_predictions_of_another_run_are_never_touched(tmp_path, network, pictures, change):
    out = tmp_path / "out.jsonl"
    arguments = {"source": pictures, "checkpoint": network(), "text": "Is it red?"}
    run(task="vqa", out=out, limit=1, **arguments)
    before = out.read_bytes()
    arguments |= {
        "checkpoint": {"checkpoint": network(1)},
        "text": {"text": "Is it blue?"},
        "search": {"search": {"beam": 3}},
        "source": {"source": pictures / "more"},
    }[change]
    with pytest.raises(OFAError, match=f"was made with another {change}"):
        run(task="vqa", out=out, limit=1, **arguments)
    assert out.read_bytes() == before


@pytest.mark.parametrize(
    "task, text, reason",
    [
        ("vqa", "", "needs a question"),
        ("caption", "What?", "takes no text"),
        ("gigaword", "", "reads no pictures; give a table with source, target"),
    ],
)
def test_a_text_that_is_missing_or_too_much(tmp_path, network, pictures, task, text, reason):
    with pytest.raises(OFAError, match=reason):
        run(pictures, task, network(), tmp_path / "out.jsonl", text=text)


def test_files_of_others_are_not_overwritten(tmp_path, network, pictures):
    (tmp_path / "notes.jsonl").write_text("mine")
    with pytest.raises(OFAError, match="no file of predictions"):
        run(pictures, "caption", network(), tmp_path / "notes.jsonl")
    assert (tmp_path / "notes.jsonl").read_text() == "mine"


def test_a_box_lies_in_the_picture_as_it_is_seen(tmp_path, network):
    """A phone stores an upright picture lying on its side; what it shows is 60 pixels wide and 90 high."""
    folder = tmp_path / "phone"
    folder.mkdir()
    image = Image.linear_gradient("L").convert("RGB").resize((90, 60))
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(folder / "turned.jpg", exif=exif, quality=95)
    ImageOps.exif_transpose(Image.open(folder / "turned.jpg")).save(folder / "upright.png")
    run(folder, "refcoco", network(), tmp_path / "out.jsonl", text="the square")
    turned, upright = lines(tmp_path / "out.jsonl")
    assert turned["prediction"] == upright["prediction"] and turned["score"] == upright["score"]


def test_half_precision_says_nearly_the_same(tmp_path, network, pictures):
    for precision in ("fp32", "bf16"):
        run(pictures, "refcoco", network(), tmp_path / precision, text="the square", precision=precision)
    full, half = ([row["score"] for row in lines(tmp_path / precision)] for precision in ("fp32", "bf16"))
    assert half == pytest.approx(full, rel=0.02) and half != full
    with pytest.raises(OFAError, match="precision must be fp32 or bf16, got 'fp16'"):
        run(pictures, "refcoco", network(), tmp_path / "fp16", text="the square", precision="fp16")


def test_a_device_that_is_not_there_is_told_before_anything_is_written(tmp_path, network, pictures):
    with pytest.raises(OFAError, match="device cuda:99 is asked for, but torch finds . GPUs; take auto or cpu"):
        run(pictures, "caption", network(), tmp_path / "out.jsonl", device="cuda:99")
    assert not any(path.name.startswith("out.jsonl") for path in tmp_path.iterdir())
