"""Gigaword: sentences of news and their headlines, line by line in two files."""

import os
from collections.abc import Iterator
from itertools import zip_longest

from ofa.data.sources.records import SourceRow, read_lines, spaced
from ofa.errors import OFAError


def rows(sources: str | os.PathLike, targets: str | os.PathLike) -> Iterator[SourceRow]:
    """Rows of the gigaword table, one a line of both files.

    Args:
        sources: a sentence a line: `train.article.txt`, `valid.article.filter.txt`, `train.src` ...
        targets: its headline a line: `train.title.txt`, `valid.title.filter.txt`, `train.tgt` ...

    Raises:
        OFAError: a file is missing, or they have not the same number of lines.
    """
    for number, (source, target) in enumerate(zip_longest(read_lines(sources), read_lines(targets))):
        if source is None or target is None:
            longer, shorter = (targets, sources) if source is None else (sources, targets)
            raise OFAError(f"{longer} has more lines than {shorter}, which has {number}: lines must belong together")
        yield {"uniq_id": str(number), "source": spaced(source), "target": spaced(target)}
