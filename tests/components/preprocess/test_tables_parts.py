"""Tables whose shards were built in parts, as pods do, are those of one build, byte for byte."""

import shutil

import pytest

from components.preprocess.assembly import SHARDS
from components.preprocess.manifest import Manifest
from components.preprocess.parts import build_part
from components.preprocess.tables import STATISTICS, tables
from ofa.errors import OFAError

SELECTION = {"kinds": ["caption", "refcoco", "vqa"], "captions_per_image": 2, "questions_per_image": 1}


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != STATISTICS}


def test_parts_join_to_the_tables_of_one_build(raw, tmp_path, monkeypatch):
    moved = shutil.copytree(raw, tmp_path / "moved")  # another pod has the data elsewhere
    made = [tmp_path / f"part{number}" for number in range(3)]
    rows = [
        build_part(str(part), str(moved), number=number, parts=3, rows_per_shard=7, processes=1, **SELECTION)
        for number, part in enumerate(made)
    ]
    names = [{path.name for path in (part / SHARDS).glob("*.tsv")} for part in made]
    assert all(names) and not names[0] & names[1] and not names[1] & names[2]
    assert max(map(len, names)) - min(map(len, names)) <= 1, "equal shares"

    whole = tables(str(tmp_path / "whole"), str(raw), processes=1, rows_per_shard=7, **SELECTION)
    assert sum(rows) == sum(table["statistics"]["rows"] for table in whole["tables"].values())
    monkeypatch.setattr("components.preprocess.shards._picture", pytest.fail)  # nothing is built again
    joined = tables(
        str(tmp_path / "joined"), str(raw), processes=1, rows_per_shard=7, parts=list(map(str, made)), **SELECTION
    )
    assert contents(tmp_path / "joined") == contents(tmp_path / "whole")
    assert joined == whole
    assert not (tmp_path / "joined" / SHARDS).exists()


def test_a_part_that_lacks_is_built(raw, tmp_path):
    build_part(str(tmp_path / "part"), str(raw), number=1, parts=2, rows_per_shard=7, processes=1, **SELECTION)
    tables(
        str(tmp_path / "joined"), str(raw), processes=1, rows_per_shard=7, parts=[str(tmp_path / "part")], **SELECTION
    )
    tables(str(tmp_path / "whole"), str(raw), processes=1, **SELECTION)
    assert contents(tmp_path / "joined") == contents(tmp_path / "whole")


def test_what_is_no_part_is_refused(raw, tmp_path):
    with pytest.raises(OFAError, match="not a part of a build"):
        tables(str(tmp_path / "out"), str(raw), parts=[str(raw)], processes=1)
    with pytest.raises(OFAError, match="part 2 of 2: parts are numbered from 0 to 1"):
        build_part(str(tmp_path / "out"), str(raw), number=2, parts=2)


def test_the_tables_know_the_version_of_their_data(raw, tmp_path):
    made = tables(str(tmp_path / "out"), str(raw), kinds=["text"], processes=1)
    assert made["data"] == {"source": "scenes", "version": Manifest.load(raw).version}
