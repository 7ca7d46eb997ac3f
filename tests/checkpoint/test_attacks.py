"""Checkpoints that try to run code, to change the program or to exhaust the machine are refused by name."""

import argparse
import os
import struct
import zipfile

import pytest
import torch

from ofa.checkpoint import load_fairseq, save_fairseq
from ofa.checkpoint import unpickle as reader
from ofa.checkpoint.unpickle import read
from ofa.errors import OFAError
from ofa.model import OFAConfig, OFAModel

# The instructions of a pickle, written by hand: no library would write these.


def name(module, attribute):
    return f"c{module}\n{attribute}\n".encode()


def text(value):
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def number(value):
    return b"\x8a\x08" + struct.pack("<q", value)


def items(*values):
    return b"(" + b"".join(values) + b"t"


def call(function, *arguments):
    return function + items(*arguments) + b"R"


def storage(dtype="FloatStorage", key=None, count=4, kind="storage"):
    return items(text(kind), name("torch", dtype), text("0") if key is None else key, text("cpu"), number(count)) + b"Q"


def tensor(size, stride=1, offset=0, data=None):
    shape, strides = items(number(size)), items(number(stride))
    function = name("torch._utils", "_rebuild_tensor_v2")
    return call(function, data or storage(), number(offset), shape, strides, b"\x89", b"N")


def attributes(**values):
    """The state that sets attributes one by one."""
    return items(b"N", b"}(" + b"".join(text(key) + value for key, value in values.items()) + b"u")


SYSTEM, HARM = name("os", "system"), text("touch harmed")
NAMESPACE = name("argparse", "Namespace")
ATTACKS = {
    "call": (call(SYSTEM, HARM), "names 'os.system'"),
    "call of a name on the stack": (text("os") + text("system") + b"\x93" + items(HARM) + b"R", "names 'os.system'"),
    "call while making an instance": (b"(" + HARM + b"ios\nsystem\n", "names 'os.system'"),
    "call while making an object": (b"(" + SYSTEM + HARM + b"o", "names 'os.system'"),
    "new object": (name("subprocess", "Popen") + items(HARM) + b"\x81", "names 'subprocess.Popen'"),
    "eval": (call(name("builtins", "eval"), text("open('harmed', 'w')")), "names 'builtins.eval'"),
    "attribute of a known name": (text("argparse") + text("Namespace.__init__") + b"\x93", "Namespace.__init__'"),
    "getattr": (call(name("builtins", "getattr"), text(""), text("upper")), "names 'builtins.getattr'"),
    "function of torch": (call(name("torch", "load"), text("x.pt")), "names 'torch.load'"),
    "default factory": (call(name("collections", "defaultdict"), SYSTEM), "names 'os.system'"),
    "attribute of a type": (call(name("builtins", "type"), b"N") + attributes(harmed=b"K\x01") + b"b", "changes '"),
    "item of a known name": (
        call(name("_operator", "getitem"), call(name("builtins", "dict")), text("x")) + items(HARM) + SYSTEM + b"R",
        "names 'os.system'",
    ),
    "registered extension": (b"\x82\x01", "extension code 1"),
    "attribute of a class": (NAMESPACE + attributes(harmed=b"K\x01") + b"b", "changes 'argparse.Namespace'"),
    "class of an object": (
        NAMESPACE + b")\x81" + attributes(__class__=name("omegaconf", "x")) + b"b",
        "changes 'argparse.Namespace'",
    ),
    "defaults of a function": (
        name("_codecs", "encode") + attributes(__defaults__=items(text("x"))) + b"b",
        "changes 'ofa.checkpoint.unpickle._encode'",
    ),
    "hooks of a tensor": (
        tensor(4) + items(b"\x88", b"N", b"}K\x01" + NAMESPACE + b"s") + b"b",
        "changes 'torch.Tensor'",
    ),
    "another data type": (storage("quint8", count=1), "object of an unknown kind.*quint8"),
    "another kind": (storage(kind="module"), "object of an unknown kind.*module"),
    "another reference": (b"Pmodule\n", "object of an unknown kind: 'module'"),
    "reference by a list": (storage(key=b"]"), "object of an unknown kind"),
    "data of another file": (storage(key=text("../../etc/passwd")), "data of tensor ../../etc/passwd is missing"),
    "negative count": (storage(count=-1), "missing or too short"),
    "huge count": (storage(count=2**60), "missing or too short"),
    "huge tensor": (tensor(2**50, stride=0), "more elements than were saved"),
    "tensor before its data": (tensor(1, offset=-1), "damaged"),
    "tensor beyond its data": (tensor(4, stride=1000), "damaged"),
    "tensor of a text": (tensor(1, data=text("x")), "damaged"),
    "huge bytes": (call(name("builtins", "bytes"), number(2**50)), "damaged"),
    "huge text": (b"\x8d" + struct.pack("<Q", 2**60), "damaged"),
    "huge number": (b"\x8b" + struct.pack("<i", 2**31 - 1), "damaged"),
}


def write(path, program, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("a/data.pkl", b"\x80\x02" + program + b".")
        archive.writestr("a/byteorder", "little")
        archive.writestr("a/data/0", bytes(64))
    return path


@pytest.mark.parametrize("attack", ATTACKS)
def test_attacks_are_refused_by_name(tmp_path, monkeypatch, attack):
    monkeypatch.chdir(tmp_path)
    program, message = ATTACKS[attack]
    before = dict(vars(argparse.Namespace)), reader._encode.__defaults__
    with pytest.raises(OFAError, match=f"bad.pt.*{message}"):
        read(write(tmp_path / "bad.pt", program))
    assert (dict(vars(argparse.Namespace)), reader._encode.__defaults__) == before
    assert os.listdir(tmp_path) == ["bad.pt"]


def test_the_same_instructions_without_the_attack_are_read(tmp_path):
    program = items(tensor(3, offset=1), NAMESPACE + b")\x81}" + text("lr") + b"K\x05sb", name("torch", "float16"))
    loaded, arguments, dtype = read(write(tmp_path / "good.pt", program))
    assert loaded.tolist() == [0.0] * 3
    assert arguments == argparse.Namespace(lr=5)
    assert dtype == torch.float16


def test_a_large_number_of_a_place_costs_no_memory(tmp_path):
    assert read(write(tmp_path / "a.pt", b"Nr\xff\xff\xff\x7f")) is None


def test_compressed_pickles_are_refused(tmp_path):
    write(tmp_path / "bomb.pt", b"N0" * 2**22 + b"N", zipfile.ZIP_DEFLATED)
    assert (tmp_path / "bomb.pt").stat().st_size < 2**16
    with pytest.raises(OFAError, match="a/(data.pkl|byteorder) is compressed"):
        read(tmp_path / "bomb.pt")


@pytest.fixture
def checkpoint(tmp_path):
    """A checkpoint of the original, as what `torch.save` is given."""
    small = dict(vocabulary_size=20, d_model=8, ffn_dim=8, encoder_layers=1, decoder_layers=1, resnet_blocks=(2, 2, 2))
    config = OFAConfig.preset("tiny", **small, image_bucket_size=16)
    save_fairseq(tmp_path / "net.pt", config, OFAModel(config).state_dict())
    return torch.load(tmp_path / "net.pt", weights_only=False)


ENDLESS: list = []
ENDLESS.append(ENDLESS)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(encoder_layers=10**9), "tell of 1000000000 encoder layers, its weights of 1"),
        (dict(decoder_layers=None), "tell of None decoder layers, its weights of 1"),
        (dict(encoder_ffn_embed_dim="wide"), "no network can be built from its arguments"),
        (dict(dropout=[0.1]), "no network can be built from its arguments"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_arguments_that_make_no_sense_are_refused(checkpoint, tmp_path, change, message):
    vars(checkpoint["cfg"]["model"]).update(change)
    torch.save(checkpoint, tmp_path / "bad.pt")
    with pytest.raises(OFAError, match=message):
        load_fairseq(tmp_path / "bad.pt")


@pytest.mark.parametrize(
    ("part", "value", "message"),
    [
        ("cfg", ENDLESS, "nested without end"),
        ("cfg", "text", "does not say how its network is built"),
        ("model", {"encoder.embed_tokens.weight": 5}, "is of type int, not a named tensor"),
        ("model", {7: torch.ones(1)}, "7 of its weights is of type Tensor, not a named tensor"),
        ("model", {"encoder.embed_tokens.weight": torch.ones(2, 2)}, "lacks 'encoder.embed_images.conv1.weight'"),
        ("model", None, "no 'model'"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_contents_of_another_form_are_refused(checkpoint, tmp_path, part, value, message):
    torch.save(checkpoint | {part: value}, tmp_path / "bad.pt")
    with pytest.raises(OFAError, match=message):
        load_fairseq(tmp_path / "bad.pt")


def test_a_moving_average_of_another_form_is_none(checkpoint, tmp_path):
    for extra in (None, 5, {"ema": 3}, {"ema": {}}):
        torch.save(checkpoint | {"extra_state": extra}, tmp_path / "net.pt")
        with pytest.raises(OFAError, match="holds no moving average"):
            load_fairseq(tmp_path / "net.pt", ema=True)
