"""The registered model answers, as the evaluation did, from nothing but what is shipped with it."""

import json
import re
import subprocess
import sys
from importlib import metadata

import mlflow
import pandas as pd
import pytest
from packaging.requirements import Requirement

from components.evaluate.record import load_predictions
from ofa.data import TABLES, Table
from ofa.data.images import decode_base64, encode_base64


@pytest.fixture(scope="module")
def model(stock):
    mlflow.set_tracking_uri(f"sqlite:///{stock}/mlflow.db")
    return mlflow.pyfunc.load_model("models:/ofa/1")


@pytest.fixture(scope="module")
def frame(tables):
    """The evaluated rows as requests: caption and grounding alternate, pictures as base64."""
    rows = []
    for task, path in sorted(tables.items()):
        for row in Table(path, TABLES[task]):
            rows.append({"task": task, "image": bytes(row["image"]).decode(), "text": row.get("text")})
    return pd.DataFrame(rows).iloc[[0, 3, 1, 4, 2, 5]].reset_index(drop=True)


def as_text(prediction):
    return prediction if isinstance(prediction, str) else [round(value, 3) for value in prediction]


def test_it_answers_as_it_was_evaluated(model, frame, finished):
    expected = {task: iter(load_predictions(finished(0) / task)) for task in ("caption", "refcoco")}
    answers = model.predict(frame)
    assert list(answers.columns) == ["prediction", "score"]
    for task, answer in zip(frame["task"], answers.itertuples(), strict=True):
        row = next(expected[task])
        found = answer.prediction
        if task == "refcoco":
            box = json.loads(found)
            found = [box["x0"], box["y0"], box["x1"], box["y1"]]
        assert as_text(found) == as_text(row["prediction"])
        assert answer.score == pytest.approx(row["score"], abs=1e-4)


def test_pictures_may_be_paths_and_data_urls(model, frame, tmp_path):
    content = decode_base64(frame["image"][0])
    (tmp_path / "picture.png").write_bytes(content)
    forms = [frame["image"][0], str(tmp_path / "picture.png"), f"data:image/png;base64,{encode_base64(content)}"]
    answers = model.predict(pd.DataFrame({"task": ["caption"] * 3, "image": forms}))
    assert answers["prediction"].nunique() == 1


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"task": "paint", "text": "a cat"}, "no task 'paint'; it has caption, refcoco"),
        ({"task": "caption"}, r"row 0 \(caption\): column 'image' must hold the picture"),
        ({"task": "caption", "image": "not base64!"}, r"row 0 \(caption\)"),
    ],
)
def test_bad_requests_are_named(model, row, message):
    with pytest.raises(Exception, match=message):
        model.predict(pd.DataFrame([row]))


def test_the_signature_and_example_fit(model):
    assert [column.name for column in model.metadata.signature.inputs] == ["task", "image", "text"]
    example = model.input_example
    assert len(model.predict(example)) == len(example) == 2


def test_it_needs_nothing_else(stock, tmp_path):
    """The model loads and answers where neither the project nor any package is there that it does not require."""
    mlflow.set_tracking_uri(f"sqlite:///{stock}/mlflow.db")
    with open(mlflow.pyfunc.get_model_dependencies("models:/ofa/1")) as file:
        required = closure(Requirement(line.strip()).name for line in file if line.strip())
    owners = metadata.packages_distributions()
    absent = {root for root, names in owners.items() if not {plain(name) for name in names} & required} - {"ofa"}
    assert {"kfp", "dvc", "great_expectations", "pycocoevalcap"} <= absent and "torch" not in absent
    code = f"""
import sys

class Present:
    def __init__(self, finder):
        self.finder = finder

    def __getattr__(self, name):
        return getattr(self.finder, name)

    def find_spec(self, name, path=None, target=None):
        return None if name.partition(".")[0] in {absent!r} else self.finder.find_spec(name, path, target)

sys.meta_path = [Present(finder) for finder in sys.meta_path if "editable" not in repr(finder).lower()]
import mlflow
mlflow.set_tracking_uri("sqlite:///{stock}/mlflow.db")
model = mlflow.pyfunc.load_model("models:/ofa/1")
answers = model.predict(model.input_example)
import ofa
print(len(answers), ofa.__file__, "components" in sys.modules)
"""
    # -I: neither the working directory nor PYTHONPATH is searched.
    done = subprocess.run([sys.executable, "-I", "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    count, origin, has_components = done.stdout.splitlines()[-1].split()
    assert (count, has_components) == ("2", "False") and "/code/ofa/" in origin


def plain(name):
    """A distribution's name as indexes compare it."""
    return re.sub("[-_.]+", "-", name).lower()


def closure(names):
    """Distributions that come with some, by what each says that it requires."""
    found, waiting = set(), [plain(name) for name in names]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        try:
            requires = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue
        found.add(name)
        for text in requires:
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting.append(plain(requirement.name))
    return found
