"""Pickles that come with public data, read without running anything that is in them."""

import os
import pickle
from collections import defaultdict
from typing import Any

from ofa.errors import OFAError


def load_plain_pickle(path: str | os.PathLike) -> Any:
    """Read a pickle of plain Python values: lists, tuples, dicts (also those that count), texts, numbers and None.

    Texts of Python 2 are read as UTF-8.

    Raises:
        OFAError: the file is missing or damaged, or holds anything else, which is named and not loaded.
    """
    try:
        with open(path, "rb") as file:
            return _PlainUnpickler(file, encoding="utf-8", errors="replace").load()
    except OSError as error:
        raise OFAError(f"cannot read {path}: {error.strerror}; check the path or fetch the data first") from error
    except _NotPlainError as error:
        raise OFAError(
            f"{path} is refused: it holds {error}, which could run code; get it from its publisher"
        ) from error
    except (pickle.UnpicklingError, EOFError, ValueError, LookupError, AttributeError, TypeError, MemoryError) as error:
        raise OFAError(f"{path} is not a readable pickle ({error}); fetch it again") from error


class _NotPlainError(Exception):
    """The name of what was refused."""


_COUNTING = {("collections", "defaultdict"): defaultdict, ("builtins", "float"): float, ("builtins", "int"): int}
"""What a dict that counts is made of. These cannot be changed by a pickle, and make nothing but numbers and dicts."""


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        known = _COUNTING.get(("builtins" if module == "__builtin__" else module, name))
        if known is not None:
            return known
        raise _NotPlainError(f"{module}.{name}")

    def persistent_load(self, identifier: Any) -> Any:
        raise _NotPlainError("a reference to an outside object")
