"""Read files of `torch.save` without running anything that is in them.

A pickle is a program that may call any function it names and change any object it gets. This reader lets it name
tensors, plain containers, `argparse.Namespace`, omegaconf nodes and objects of PyTorch Lightning, all of which become
inert data, lets it fill in those it made itself, and refuses everything else.
"""

import argparse
import io
import math
import mmap
import pickle
import struct
import zipfile
from collections import OrderedDict, defaultdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ofa.errors import OFAError

_DTYPES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}


class Node:
    """An object of the file, as data: `kind` is its class, `state` what it was saved with."""

    kind = ""

    def __init__(self, *state: Any, **more: Any) -> None:
        self.state: Any = state or more

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def __repr__(self) -> str:
        return f"<{self.kind}>"


def _node(kind: str) -> type[Node]:
    return type("Node", (Node,), {"kind": kind})


def _rebuild_tensor(storage: Tensor, offset: int, size: tuple, stride: tuple, *_: Any) -> Tensor:
    if math.prod(size) > storage.numel():
        raise ValueError(f"a tensor of size {size} has more elements than were saved, {storage.numel()}")
    return torch.as_strided(storage, size, stride, offset)


def _rebuild_parameter(data: Tensor, *_: Any) -> Tensor:
    return data


class _NumPyType:
    """The type of a NumPy scalar."""

    def __init__(self, code: str, *_: Any) -> None:
        self.layout = {"f8": "<d", "f4": "<f", "i8": "<q", "i4": "<i", "b1": "?"}.get(code)

    def __setstate__(self, state: tuple) -> None:
        if state[1] not in "<|":
            self.layout = None


def _number(dtype: _NumPyType, data: bytes) -> float | int | bool:
    """A NumPy scalar as a Python number."""
    if dtype.layout is None:
        raise OFAError("the checkpoint has a NumPy value that is not a little-endian number")
    return struct.unpack(dtype.layout, data)[0]


def _encode(text: str, encoding: str = "latin1") -> bytes:
    return text.encode("latin1")


def _no_bytes() -> bytes:
    """How old pickles write `b""`. With a number, `bytes` would fill the memory."""
    return b""


def _type(*_: Any) -> type[Node]:
    """A type that omegaconf's nodes tell of their values: `typing.List[float]`, `NoneType`."""
    return _node("type")


_ALLOWED: dict[tuple[str, str], Any] = {
    ("torch._utils", "_rebuild_tensor"): _rebuild_tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
    ("torch", "Size"): tuple,
    ("collections", "OrderedDict"): OrderedDict,
    ("collections", "defaultdict"): defaultdict,
    ("argparse", "Namespace"): argparse.Namespace,
    ("_codecs", "encode"): _encode,
    ("_operator", "getitem"): _type,
    ("builtins", "type"): _type,
    ("__builtin__", "type"): _type,
    ("numpy", "dtype"): _NumPyType,
    ("numpy.core.multiarray", "scalar"): _number,
    ("numpy._core.multiarray", "scalar"): _number,
}
for _plain in (dict, list, tuple, set, frozenset, int, float, bool, str, complex):
    _ALLOWED["builtins", _plain.__name__] = _ALLOWED["__builtin__", _plain.__name__] = _plain
_INERT = ("omegaconf", "typing", "pytorch_lightning")
"""Packages whose objects are read as `Node`."""
_ALLOWED["builtins", "bytes"] = _ALLOWED["__builtin__", "bytes"] = _no_bytes
_ALLOWED["__builtin__", "long"] = int
_ALLOWED["__builtin__", "unicode"] = str


class _Unpickler(pickle._Unpickler):
    """The unpickler in Python, the only one whose instructions can be replaced."""

    dispatch = dict(pickle._Unpickler.dispatch)

    def __init__(self, file: Any, path: Path, storages: "_Storages") -> None:
        super().__init__(file, encoding="utf-8")
        self.path, self.storages = path, storages

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _ALLOWED:
            return _ALLOWED[module, name]
        if module == "torch" and name in _DTYPES:
            return _DTYPES[name]
        if module == "torch" and isinstance(getattr(torch, name, None), torch.dtype):
            return getattr(torch, name)
        # omegaconf's nodes name the types of their values: typing's, enums', fairseq's option classes. A checkpoint of
        # Lightning names the classes of its callbacks.
        if module.split(".")[0] in _INERT or module.startswith("fairseq.dataclass."):
            return _node(f"{module}.{name}")
        raise OFAError(
            f"{self.path} names '{module}.{name}', which is not a tensor, a plain container, argparse.Namespace, an "
            "omegaconf node or an object of Lightning: a file that could run code is not loaded"
        )

    def load_build(self) -> None:
        """Give an object its state. The usual way sets attributes of whatever is there: classes, functions, tensors."""
        state = self.stack.pop()
        owner = self.stack[-1]
        if isinstance(owner, Node | _NumPyType):
            owner.__setstate__(state)
        elif isinstance(owner, argparse.Namespace) and isinstance(state, dict):
            vars(owner).update(state)
        elif not isinstance(owner, OrderedDict):
            changed = owner if hasattr(owner, "__qualname__") else type(owner)
            raise OFAError(
                f"{self.path} changes '{changed.__module__}.{changed.__qualname__}', which only a program does: a file "
                "that could run code is not loaded"
            )
        # What state an OrderedDict has are the versions of a state dict's modules, of no use here.

    dispatch[pickle.BUILD[0]] = load_build

    def persistent_load(self, identity: Any) -> Tensor:
        match identity:
            case ("storage", torch.dtype() as dtype, str() as key, _, int() as count) if dtype in _DTYPES.values():
                return self.storages.read(key, dtype, count)
        raise OFAError(f"{self.path} refers to an object of an unknown kind: {identity!r}")


class _Storages:
    """The tensors' data of a file, mapped into memory: nothing is read before it is used."""

    def __init__(self, path: Path, archive: zipfile.ZipFile, root: str) -> None:
        self.path, self.root = path, root
        self.members = {entry.filename: entry for entry in archive.infolist()}
        with path.open("rb") as file:
            self.bytes = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        self.done: dict[str, Tensor] = {}

    def read(self, key: str, dtype: torch.dtype, count: int) -> Tensor:
        if key not in self.done:
            self.done[key] = self._map(key, dtype, count)
        return self.done[key]

    def _map(self, key: str, dtype: torch.dtype, count: int) -> Tensor:
        entry, size = self.members.get(f"{self.root}/data/{key}"), count * dtype.itemsize
        if entry is None or entry.compress_type != zipfile.ZIP_STORED or not 0 <= size <= entry.file_size:
            raise OFAError(f"{self.path} is damaged: the data of tensor {key} is missing or too short")
        if count == 0:
            return torch.empty(0, dtype=dtype)
        # A local header has 30 bytes, then the lengths given at 26 and 28 of name and extra field.
        name, extra = struct.unpack_from("<HH", self.bytes, entry.header_offset + 26)
        start = entry.header_offset + 30 + name + extra
        if start % dtype.itemsize:
            return torch.frombuffer(bytearray(self.bytes[start : start + size]), dtype=dtype)
        return torch.frombuffer(self.bytes, dtype=dtype, count=count, offset=start)


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    """A member as torch.save writes it, so that a small file cannot unfold into a huge one."""
    if archive.getinfo(name).compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"{name} is compressed, which torch.save never does")
    return archive.read(name)


def read(path: str | Path) -> Any:
    """The object that `torch.save` wrote to `path`, its tensors on the CPU and mapped from the file.

    Raises:
        OFAError: the file is missing, damaged, in torch's format of before 1.6, or names something else than data.
    """
    path = Path(path)
    if not path.is_file():
        raise OFAError(f"no checkpoint at {path}")
    try:
        with zipfile.ZipFile(path) as archive:
            pickles = [name for name in archive.namelist() if name.count("/") == 1 and name.endswith("/data.pkl")]
            if len(pickles) != 1:
                raise OFAError(f"{path} is not a file of torch.save: it has no data.pkl")
            root = pickles[0].removesuffix("/data.pkl")
            if f"{root}/byteorder" in archive.namelist() and _member(archive, f"{root}/byteorder") != b"little":
                raise OFAError(f"{path} was saved on a big-endian machine, which is not supported")
            file = io.BytesIO(_member(archive, pickles[0]))
            return _Unpickler(file, path, _Storages(path, archive, root)).load()
    except zipfile.BadZipFile as error:
        raise OFAError(
            f"{path} is damaged or not a checkpoint in torch's zip format: copy it again, or load and save it with a "
            "newer torch"
        ) from error
    except OFAError:
        raise
    except Exception as error:  # whatever the steps of a pickle raise that torch.save did not write
        raise OFAError(f"{path} is damaged: {str(error) or type(error).__name__}") from error
