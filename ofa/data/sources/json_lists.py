"""Long lists in JSON files, read an entry at a time, so that files of gigabytes take little memory."""

import os
from collections.abc import Iterator
from typing import Any

from ofa.errors import OFAError, nearest

_CHUNK = 1 << 20


def read_list(path: str | os.PathLike, key: str) -> Iterator[Any]:
    """The entries of the list `key` of the JSON object in a file.

    Raises:
        OFAError: the file is missing, is not JSON, or has no such list.
    """
    import ijson

    try:
        yield from _entries(path, key)
    except OSError as error:
        raise OFAError(f"cannot read {path}: {error.strerror}; check the path or fetch the data first") from error
    except (ijson.JSONError, UnicodeDecodeError) as error:
        reason = str(error).partition("\n")[0]
        raise OFAError(f"{path} is not a JSON file ({reason}); fetch it again") from error


def _entries(path: str | os.PathLike, key: str) -> Iterator[Any]:
    import ijson

    empty = True
    try:
        with open(path, "rb") as file:
            for entry in ijson.items(file, f"{key}.item", use_float=True, buf_size=_CHUNK):
                empty = False
                yield entry
    finally:
        if empty:
            _check(path, key)


def _check(path: str | os.PathLike, key: str) -> None:
    """Raise OFAError if the file is no JSON object with a list `key`."""
    import ijson

    with open(path, "rb") as file:
        events = ijson.parse(file, buf_size=_CHUNK)
        try:
            first = next(events)[1]
        except (ijson.JSONError, StopIteration):
            first = ""
        if first != "start_map":
            raise OFAError(f"{path} holds no JSON object with '{key}': is it the right file?")
        names = []
        for prefix, event, value in events:
            if not prefix and event == "map_key":
                names.append(value)
            elif prefix == key:
                if event != "start_array":
                    raise OFAError(f"{path}: '{key}' is not a list: is it the right file?")
                return
    known = ", ".join(names)
    raise OFAError(f"{path} has no '{key}'{nearest(key, names)}; it has {known}: is it the right file?")
