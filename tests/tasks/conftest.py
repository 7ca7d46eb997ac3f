"""What the original's data sets made of small tables, and the same rows for ours."""

import json
import random
import shutil

import numpy as np
import pytest

from ofa.data.batch import collate
from ofa.data.schema import TABLES
from ofa.data.sources.glue import FORMATS
from ofa.data.table import Table
from tests.tasks.recorded import check_sample


@pytest.fixture(scope="session")
def recorded(golden) -> dict:
    """Runs of the original's data sets by name: keyword arguments, samples, collated batch."""
    return json.loads((golden / "dataset" / "datasets.json").read_text())


@pytest.fixture(scope="session")
def pixels(golden):
    """Pictures of some samples as the original normalized them, by "run/sample"."""
    return np.load(golden / "dataset" / "patch_images_f16.npz")


@pytest.fixture(scope="session")
def rows(golden, tmp_path_factory):
    """A function from table name and columns to `Table`. The recorded tables of GLUE lack the columns of ids."""
    folder = tmp_path_factory.mktemp("tables")

    def read(name: str, columns=None) -> Table:
        shutil.copyfile(golden / "dataset" / "data" / f"{name}.tsv", folder / f"{name}.tsv")
        if columns is None:
            columns = [column for column in TABLES[name] if name not in FORMATS or not column.endswith("_id")]
        return Table(folder / f"{name}.tsv", columns)

    return read


@pytest.fixture(scope="session")
def negatives(golden, tmp_path_factory) -> str:
    """The folder of negatives that the recorded runs used."""
    values = json.loads((golden / "dataset" / "data" / "negatives.json").read_text())
    folder = tmp_path_factory.mktemp("negatives")
    (folder / "all_captions.txt").write_text("\n".join(values["captions"]) + "\n")
    (folder / "object.txt").write_text("\n".join(values["objects"]) + "\n")
    (folder / "type2ans.json").write_text(json.dumps(values["type2ans"]))
    return str(folder)


@pytest.fixture(scope="session")
def compare(recorded, pixels):
    """A function that checks every sample of a task, and their batch, against a recorded run."""

    def check(task, table, run: str, train: bool = False) -> list:
        samples = [task.sample(table[i], train, random.Random(i)) for i in range(len(table))]
        assert samples and len(recorded[run]["samples"]) in (2, len(samples))
        for number, (ours, theirs) in enumerate(zip(samples, recorded[run]["samples"], strict=False)):
            check_sample(ours, theirs)
            if (key := f"{run}/{number}") in pixels:
                assert np.array_equal(collate([ours]).images_normalized[0].half().numpy(), pixels[key])
        return samples

    return check
