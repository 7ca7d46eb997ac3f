"""The registered model in an environment of its own, made from nothing but its requirements."""

import json
import shutil
import subprocess
import sys

import mlflow
import pytest

from components.evaluate.record import load_predictions
from ofa.data import TABLES, Table

PROGRAM = """
import json, sys, mlflow, pandas as pd
mlflow.set_tracking_uri(sys.argv[1])
model = mlflow.pyfunc.load_model("models:/ofa@champion")
answers = model.predict(pd.DataFrame(json.load(open(sys.argv[2]))))
import ofa
print(json.dumps([answers["prediction"].tolist(), ofa.__file__, sys.prefix]))
"""


@pytest.mark.slow
def test_it_answers_each_task(uri, tables, finished, tmp_path, root):
    uv = shutil.which("uv", path=f"{root}/.uv/bin") or shutil.which("uv")
    if uv is None:
        pytest.skip("uv, which makes environments, is not on this machine; `make install` brings it")
    mlflow.set_tracking_uri(uri)
    mlflow.MlflowClient().set_registered_model_alias("ofa", "champion", "1")
    requirements = mlflow.pyfunc.get_model_dependencies("models:/ofa@champion")
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, tmp_path / "venv"], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    # The versions that the model does not fix are those of the lock, whose packages are in uv's cache already.
    pins = "".join(line for line in (root / "requirements.lock").read_text().splitlines(True) if "==" in line)
    (tmp_path / "pins.txt").write_text(pins.replace(" \\\n", "\n"))
    install = [uv, "pip", "install", "--quiet", "--python", python, "-r", requirements, "-c", tmp_path / "pins.txt"]
    if subprocess.run([*install, "--offline"], capture_output=True).returncode != 0:
        subprocess.run(install, check=True)

    rows = [
        {"task": task, "image": bytes(row["image"]).decode(), "text": row.get("text", "")}
        for task, path in sorted(tables.items())
        for row in Table(path, TABLES[task])
    ]
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    command = [python, "-I", "-c", PROGRAM, uri, tmp_path / "rows.json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    answers, package, prefix = json.loads(done.stdout.splitlines()[-1])
    assert prefix == str(tmp_path / "venv") and "/code/ofa/" in package
    captions = [row["prediction"] for row in load_predictions(finished(0) / "caption")]
    boxes = [row["prediction"] for row in load_predictions(finished(0) / "refcoco")]
    assert answers[:3] == captions
    found = [[box[side] for side in ("x0", "y0", "x1", "y1")] for box in map(json.loads, answers[3:])]
    assert found == [pytest.approx(box, abs=1e-3) for box in boxes]
