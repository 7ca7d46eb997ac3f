"""One table of many shards: build what is missing, join them, leave nothing half-written."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path

from components.preprocess.raw_table import RawTable
from components.preprocess.shards import Built, Shard, build, fingerprint, read_built
from components.preprocess.statistics import Statistics
from components.preprocess.workers import Map
from ofa.data.sources.records import SourceRow
from ofa.errors import OFAError
from ofa.files import atomic_write, ensure_space
from ofa.progress import bar

SHARDS = "shards"
_SMALLEST_SIDE = 64
_COPY = 16 << 20


@dataclass(frozen=True)
class Assembly:
    """Where tables are assembled, and from what."""

    raw: Path
    """The raw data."""
    files: Mapping[str, Mapping]
    """Their files by relative path, with `bytes` and `sha256`."""
    staging: Path
    """The folder that is being made: tables, and in `shards/` what they are joined from."""
    previous: Path
    """The folder of an earlier build."""
    described: Mapping[str, Mapping]
    """Its tables: `Built.to_dict` by name."""
    rows_per_shard: int
    """Rows that one process builds at a time."""
    max_image_side: int = 0
    """See `tables`."""

    def assemble(self, table: RawTable, rows: Iterable[SourceRow], work: Map) -> Built:
        """Make the file of a table, unless it is there, or was the same in the earlier build.

        Its rows are read once to see whether they changed, and a second time to build, so that few of them are in
        memory.
        """
        path, description = self.staging / f"{table.name}.tsv", self.staging / SHARDS / f"{table.name}.json"
        versions, total, space = [], 0, 0
        for shard in self.shards(table, rows):
            versions.append(shard.fingerprint)
            total += len(shard.rows)
            # Shards and the table that they are joined to exist side by side for a while.
            space += self._size(shard) * (1 if shard.path.with_suffix(".json").is_file() else 2)
        version = hashlib.sha256(" ".join(versions).encode()).hexdigest()
        built = read_built(description, path, version) or self._take_over(path, version)
        if built is None:
            ensure_space(self.staging, space)
            with bar(total, f"Building {table.name}", "row") as progress:
                built = self._build(table, rows, path, version, work, progress.update)
            built.save(description)
            for number in range(len(versions)):
                self._shard_path(table, number).unlink(missing_ok=True)
        return built

    def shards(self, table: RawTable, rows: Iterable[SourceRow]) -> Iterator[Shard]:
        """The shards of a table, finished or not."""
        prefix = f"{self.raw}{os.sep}"
        hashes = {path: entry["sha256"] for path, entry in self.files.items()}
        remaining = iter(rows)
        for number in count():
            part = [dict(row) for row in islice(remaining, self.rows_per_shard)]
            if not part:
                return
            for row in part:
                if "image_path" in row:
                    row["image_path"] = row["image_path"].removeprefix(prefix)
            version = fingerprint(table.kind, part, hashes, self.max_image_side)
            path = self._shard_path(table, number)
            yield Shard(path, table.kind, self.raw, part, version, self.max_image_side)

    def _shard_path(self, table: RawTable, number: int) -> Path:
        return self.staging / SHARDS / f"{table.name}-{number:05d}.tsv"

    def _take_over(self, path: Path, version: str) -> Built | None:
        """Use the table of the earlier build, if it was made from the same input."""
        described, file = self.described.get(path.stem), self.previous / path.name
        built = read_built(described, file, version) if described else None
        if built is not None:
            path.unlink(missing_ok=True)
            try:
                os.link(file, path)
            except OSError:  # not on one disk, or no links there
                with open(file, "rb") as source, atomic_write(path, "wb") as target:
                    shutil.copyfileobj(source, target, _COPY)
        return built

    def _build(
        self,
        table: RawTable,
        rows: Iterable[SourceRow],
        path: Path,
        version: str,
        work: Map,
        advance: Callable[[int], object],
    ) -> Built:
        statistics, rejected, before = Statistics(), [], 0
        paths: list[Path] = []
        pictures: set[str] = set()

        def noted(shards: Iterable[Shard]) -> Iterator[Shard]:
            for shard in shards:
                paths.append(shard.path)
                pictures.update(row["image_path"] for row in shard.rows if "image_path" in row)
                yield shard

        for built in work(build, noted(self.shards(table, rows))):
            statistics.merge(built.statistics)
            rejected += [(before + number, uniq_id, reason) for number, uniq_id, reason in built.rejected]
            done = built.statistics.rows + len(built.rejected)
            before += done
            advance(done)
        statistics.pictures = len(pictures)
        with atomic_write(path, "wb") as file:
            for part in paths:
                with open(part, "rb") as shard:
                    shutil.copyfileobj(shard, file, _COPY)
        return Built(version, statistics, tuple(rejected))

    def _size(self, shard: Shard) -> int:
        """About the size of a shard's file."""
        pictures = sum(
            self.files[row["image_path"]]["bytes"] for row in shard.rows if row.get("image_path") in self.files
        )
        return pictures * 4 // 3 + 200 * len(shard.rows)


def check_side(max_image_side: int) -> None:
    """Raise OFAError if pictures cannot be limited to this side."""
    if max_image_side and max_image_side < _SMALLEST_SIDE:
        raise OFAError(
            f"max_image_side is {max_image_side}; it must be 0 (no limit) or at least {_SMALLEST_SIDE} pixels"
        )


def described_tables(folder: Path, name: str) -> dict[str, Mapping]:
    """The descriptions of the tables in an earlier build, from its file of statistics; empty if there is none."""
    try:
        return json.loads((folder / name).read_text(encoding="utf-8"))["tables"]
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError):
        return {}
