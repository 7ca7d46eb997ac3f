"""Long lists in JSON files, read an entry at a time, so that files of gigabytes take little memory."""

import json
import os
import re
from collections.abc import Iterator
from typing import Any, TextIO

from ofa.errors import OFAError, nearest

_CHUNK = 1 << 20
_SPACE = re.compile(r"[ \t\r\n]*")
_ENDS = frozenset(" \t\r\n,:]}")
_DECODER = json.JSONDecoder()


def read_list(path: str | os.PathLike, key: str) -> Iterator[Any]:
    """The entries of the list `key` of the JSON object in a file.

    Raises:
        OFAError: the file is missing, is not JSON up to the end of the list, or has no such list.
    """
    try:
        with open(path, encoding="utf-8") as file:
            yield from _entries(_Text(file), path, key)
    except OSError as error:
        raise OFAError(f"cannot read {path}: {error.strerror}; check the path or fetch the data first") from error
    except ValueError as error:
        reason = getattr(error, "msg", error)
        raise OFAError(f"{path} is not a JSON file ({reason}); fetch it again") from error


class _Text:
    """What is left of a file, from which JSON is taken piece by piece."""

    def __init__(self, file: TextIO):
        self._file, self._buffer, self._place = file, "", 0

    def peek(self) -> str:
        """The next character that is no space; empty at the end of the file."""
        while True:
            self._place = _SPACE.match(self._buffer, self._place).end()
            if self._place < len(self._buffer):
                return self._buffer[self._place]
            if not self._read():
                return ""

    def take(self, character: str) -> None:
        """Go past a character, which must be the next."""
        if (found := self.peek()) != character:
            raise ValueError(f"{character} expected, found {found or 'the end of the file'}")
        self._place += 1

    def value(self) -> Any:
        """Go past a value and return it."""
        self.peek()
        while True:
            try:
                value, end = _DECODER.raw_decode(self._buffer, self._place)
            except json.JSONDecodeError:
                if not self._read():
                    raise
                continue
            if self._buffer[end : end + 1] in _ENDS:
                self._place = end
                return value
            length = end - self._place  # of a number that may go on
            if not self._read():
                self._place = length
                return value

    def _read(self) -> bool:
        """Put more of the file behind what is left; as much again, so that a long value is not tried too often."""
        left = self._buffer[self._place :]
        more = self._file.read(max(_CHUNK, len(left)))
        self._buffer, self._place = left + more, 0
        return bool(more)


def _entries(text: _Text, path: str | os.PathLike, key: str) -> Iterator[Any]:
    if text.peek() != "{":
        raise OFAError(f"{path} holds no JSON object with '{key}': is it the right file?")
    text.take("{")
    names = []
    while text.peek() != "}":
        names.append(text.value())
        text.take(":")
        if text.peek() == "[":
            entries = _items(text)
            if names[-1] == key:
                yield from entries
                return
            for _ in entries:
                pass
        elif names[-1] == key:
            raise OFAError(f"{path}: '{key}' is not a list: is it the right file?")
        else:
            text.value()
        if text.peek() != "}":
            text.take(",")
    known = ", ".join(map(str, names))
    raise OFAError(f"{path} has no '{key}'{nearest(key, names)}; it has {known}: is it the right file?")


def _items(text: _Text) -> Iterator[Any]:
    text.take("[")
    while text.peek() != "]":
        yield text.value()
        if text.peek() != "]":
            text.take(",")
    text.take("]")
