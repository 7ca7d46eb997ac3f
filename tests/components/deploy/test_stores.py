"""The whole life of a model where MLflow keeps its data in PostgreSQL and its files in S3."""

import importlib.util

import pytest

from components.deploy.champion import fetch_champion
from components.deploy.gate import gate
from components.deploy.promote import promote, rollback
from components.deploy.registry import Registry
from components.deploy.succession import history
from components.evaluate.record import load_predictions
from tests.components.deploy.servers import free_port, mlflow_server, object_store, postgres, program
from tests.components.deploy.test_server import CONTENDER, finish, start

ABSENT = [name for name in ("initdb", "postgres", "weed") if not program(name)]
ABSENT += [name for name in ("boto3", "psycopg2") if importlib.util.find_spec(name) is None]

POLICY = {"tasks": {"caption": {"margin": 100.0}, "refcoco": {"margin": 1.0}}}


@pytest.mark.skipif(bool(ABSENT), reason=f"not on this machine: {', '.join(ABSENT)}")
def test_postgres_and_s3(tmp_path, release, finished, root):
    with (
        postgres() as database,
        object_store(tmp_path / "objects") as (access, bucket),
        mlflow_server(tmp_path, free_port(), database, "s3://mlflow", **access) as uri,
    ):
        store = Registry(uri)
        assert promote(*release(0), uri).promoted
        assert gate(str(finished(1)), str(tmp_path / "gate.json"), registry=uri, policy=POLICY).champion_version == "1"
        folder, _ = release(1)
        assert promote(folder, str(tmp_path / "gate.json"), uri).previous == "1"
        assert rollback(uri) == ("2", "1")
        found = fetch_champion(store, str(finished(1)), str(tmp_path / "work"))
        assert load_predictions(f"{found.folder}/caption") == load_predictions(finished(0) / "caption")
        assert store.alias("champion").tags["git_commit"]

        keys = [entry["Key"] for entry in bucket.list_objects_v2(Bucket="mlflow")["Contents"]]
        assert sum(key.endswith("bundle.json") for key in keys) == 2
        model = store.mlflow.pyfunc.load_model("models:/ofa@champion")
        assert len(model.predict(model.input_example)) == 2

        assert promote(*release(2, "1"), uri).version == "3"
        results = finish([start(root, CONTENDER, uri, str(seed)) for seed in range(2)])
        won = [int(output) for _, output, _ in results]
        order = history(store)
        assert len(order) == 4 + sum(won) and sum(won) >= 12
        assert all(later.after == earlier.version for earlier, later in zip(order, order[1:], strict=False))
        assert store.alias("champion").number == order[-1].version
