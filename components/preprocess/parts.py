"""A share of the shards of all tables, for machines that build side by side; `tables` joins the shares."""

import json
import os
import shutil
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from components.folders import check_place, make_staging, replace_folder
from components.preprocess.assembly import SHARDS, Assembly
from components.preprocess.plan import make_plan
from components.preprocess.shards import build
from components.preprocess.workers import workers
from ofa.errors import OFAError
from ofa.files import atomic_write

PART = "part.json"


def build_part(
    out: str,
    raw: str,
    validated: str = "",
    number: int = 0,
    parts: int = 1,
    max_image_side: int = 0,
    rows_per_shard: int = 2000,
    processes: int = 0,
    **selection: Any,
) -> int:
    """Build every `parts`-th shard, from shard `number` on, as the folder `out`.

    Args:
        out: the folder to make, for the argument `parts` of `tables`.
        raw: as in `tables`, and the same for all parts, as the following are.
        validated: as in `tables`.
        number: which part, 0 to `parts` - 1.
        parts: how many there are.
        max_image_side: as in `tables`.
        rows_per_shard: as in `tables`.
        processes: how many work at once; 0 is one a core.
        selection: what else `tables` says about the rows: kinds, splits, captions_per_image ...

    Returns:
        How many rows were built.

    Raises:
        OFAError: a wrong argument.
    """
    if not 0 <= number < parts:
        raise OFAError(f"part {number} of {parts}: parts are numbered from 0 to {parts - 1}")
    plan = make_plan(raw, validated, **selection)
    folder = Path(out)
    check_place(folder, PART)
    staging = make_staging(folder, keep=True)
    assembly = Assembly(plan.data.folder, plan.manifest.files, staging, folder, {}, rows_per_shard, max_image_side)
    shards = (shard for table in plan.tables for shard in assembly.shards(table, plan.select(table)))
    with workers(processes) as work:
        built = [one.statistics.rows for one in work(build, islice(shards, number, None, parts))]
    with atomic_write(staging / PART) as file:
        json.dump({"number": number, "parts": parts, "shards": len(built), "rows": sum(built)}, file)
    replace_folder(staging, folder)
    return sum(built)


def take_parts(parts: Sequence[str], staging: Path) -> None:
    """Lay the shards of `parts` where a build in `staging` looks for finished ones.

    Raises:
        OFAError: a folder holds no part.
    """
    (staging / SHARDS).mkdir(exist_ok=True)
    for part in parts:
        if not (Path(part) / PART).is_file():
            raise OFAError(f"{part}: no {PART} in it; it is not a part of a build")
        for path in (Path(part) / SHARDS).iterdir():
            target = staging / SHARDS / path.name
            target.unlink(missing_ok=True)
            try:
                os.link(path, target)
            except OSError:  # not on one disk, or no links there
                shutil.copyfile(path, target)
