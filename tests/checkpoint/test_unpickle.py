"""Checkpoints are read as data: what could run code is refused by name."""

import argparse
import collections
import dataclasses
import enum
import io
import os
import pickle
import sys
import types
import zipfile

import numpy as np
import pytest
import torch

from ofa.checkpoint.unpickle import read
from ofa.errors import OFAError


class Attack:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def test_plain_data_comes_back(tmp_path):
    weight = torch.arange(6.0).view(2, 3)
    saved = {
        "model": collections.OrderedDict(a=weight, b=weight, part=weight[1, 1:], transposed=weight.t()),
        "types": [torch.tensor(2**40), torch.tensor([True]), weight.half(), weight.bfloat16(), torch.empty(0, 3)],
        "parameter": torch.nn.Parameter(weight),
        "args": argparse.Namespace(lr=[0.1], name="ofa"),
        "scalar": np.float64(0.25),
        "plain": (1, {2.5}, None, "é", torch.Size([1])),
    }
    torch.save(saved, tmp_path / "a.pt")
    loaded = read(tmp_path / "a.pt")
    assert loaded["args"] == saved["args"]
    assert loaded["scalar"] == 0.25
    assert loaded["plain"] == (1, {2.5}, None, "é", (1,))
    for name, tensor in saved["model"].items():
        assert torch.equal(loaded["model"][name], tensor)
    for ours, theirs in zip(loaded["types"], saved["types"], strict=True):
        assert torch.equal(ours, theirs) and ours.dtype == theirs.dtype
    assert torch.equal(loaded["parameter"], weight)
    loaded["model"]["a"][0, 0] = 9.0
    assert loaded["model"]["b"][0, 0] == 9.0
    assert read(tmp_path / "a.pt")["model"]["a"][0, 0] == 0.0


@pytest.mark.parametrize(
    ("attack", "name"),
    [
        (Attack(os.system, "touch harmed"), "posix.system"),
        (Attack(eval, "open('harmed', 'w')"), "__builtin__.eval"),
        (Attack(getattr, "text", "upper"), "__builtin__.getattr"),
        (Attack(torch.load, "x.pt"), "torch.serialization.load"),
        (Attack(pickle.loads, b"."), "pickle.loads"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_calls_are_refused_by_name(tmp_path, monkeypatch, attack, name):
    monkeypatch.chdir(tmp_path)
    torch.save({"model": {}, "cfg": attack}, "bad.pt")
    with pytest.raises(OFAError, match=name.replace(".", r"\.")):
        read("bad.pt")
    assert not (tmp_path / "harmed").exists()


def test_omegaconf_nodes_are_data(tmp_path):
    omegaconf = pytest.importorskip("omegaconf")
    torch.save({"cfg": omegaconf.OmegaConf.create({"model": {"layers": 2, "names": ["a"]}})}, tmp_path / "a.pt")
    node = read(tmp_path / "a.pt")["cfg"]
    assert node.kind == "omegaconf.dictconfig.DictConfig"
    assert node.state["_content"]["model"].state["_content"]["layers"].state["_val"] == 2


def test_omegaconf_nodes_of_declared_types_are_data(tmp_path, monkeypatch):
    """As of fairseq's option classes: lists of numbers, texts that may be absent, choices."""
    omegaconf = pytest.importorskip("omegaconf")
    module = types.ModuleType("fairseq.dataclass.configs")
    choice = enum.Enum("Choice", {"fast": "fast"}, module=module.__name__)
    # As every Python writes them but the first four releases of 3.11.
    choice.__reduce_ex__ = lambda member, protocol: (type(member), (member.value,))
    fields = [("lr", list[float], [0.1, 0.2]), ("path", str | None, None), ("choice", choice, choice.fast)]
    fields = [(name, kind, dataclasses.field(default_factory=lambda v=value: v)) for name, kind, value in fields]
    options = dataclasses.make_dataclass("Options", fields, namespace={"__module__": module.__name__})
    module.Options, module.Choice = options, choice
    for name in ("fairseq", "fairseq.dataclass", module.__name__):
        monkeypatch.setitem(sys.modules, name, module)
    torch.save({"cfg": omegaconf.OmegaConf.structured(options)}, tmp_path / "a.pt")
    content = read(tmp_path / "a.pt")["cfg"].state["_content"]
    assert [node.state["_val"] for node in content["lr"].state["_content"]] == [0.1, 0.2]
    assert content["path"].state["_val"] is None
    assert content["choice"].state["_val"].kind == "fairseq.dataclass.configs.Choice"


@pytest.mark.parametrize(
    "attack", [Attack(dict, 5), Attack(tuple, 1, 2), Attack(int, "x")], ids=["type", "count", "value"]
)
def test_malformed_pickles_are_damage(tmp_path, attack):
    torch.save({"model": attack}, tmp_path / "bad.pt")
    with pytest.raises(OFAError, match="damaged"):
        read(tmp_path / "bad.pt")


def test_tensors_cannot_reach_beyond_their_data(tmp_path):
    torch.save({"model": torch.ones(4)}, tmp_path / "good.pt")
    with zipfile.ZipFile(tmp_path / "good.pt") as good, zipfile.ZipFile(tmp_path / "bad.pt", "w") as bad:
        for name in good.namelist():
            content = good.read(name)
            if name.endswith("data.pkl"):
                # The size (4,), a tuple of one byte-sized integer, becomes (200,).
                assert content.count(b"K\x04\x85") == 1
                content = content.replace(b"K\x04\x85", b"K\xc8\x85")
            bad.writestr(name, content)
    with pytest.raises(OFAError, match="damaged"):
        read(tmp_path / "bad.pt")


def test_damaged_and_foreign_files_are_named(tmp_path):
    with pytest.raises(OFAError, match="no checkpoint at"):
        read(tmp_path / "absent.pt")
    (tmp_path / "text.pt").write_text("hello")
    with pytest.raises(OFAError, match="damaged or not a checkpoint"):
        read(tmp_path / "text.pt")
    buffer = io.BytesIO()
    torch.save({"model": {"a": torch.ones(5000)}}, buffer)
    (tmp_path / "cut.pt").write_bytes(buffer.getvalue()[:9000])
    with pytest.raises(OFAError, match="damaged or not a checkpoint"):
        read(tmp_path / "cut.pt")
    with zipfile.ZipFile(tmp_path / "other.pt", "w") as archive:
        archive.writestr("a/b.txt", "")
    with pytest.raises(OFAError, match="no data.pkl"):
        read(tmp_path / "other.pt")
