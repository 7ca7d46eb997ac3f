"""The whole life of a model where MLflow keeps its data in PostgreSQL and its files in S3."""

import uuid

import pytest

from components.deploy.champion import fetch_champion
from components.deploy.gate import gate
from components.deploy.promote import promote, rollback
from components.deploy.registry import Registry
from components.deploy.succession import history
from components.evaluate.record import load_predictions
from tests.components.deploy.servers import free_port, mlflow_server, postgres, program
from tests.components.deploy.test_server import CONTENDER, finish, start
from tests.s3 import BUCKET, USER

POLICY = {"tasks": {"caption": {"margin": 100.0}, "refcoco": {"margin": 1.0}}}


@pytest.mark.skipif(program("initdb") is None, reason="needs PostgreSQL: apt-get install postgresql")
def test_postgres_and_s3(tmp_path, release, finished, root, s3_server):
    import boto3

    folder, access = uuid.uuid4().hex, USER | {"MLFLOW_S3_ENDPOINT_URL": s3_server}
    files = f"s3://{BUCKET}/{folder}"
    with postgres() as database, mlflow_server(tmp_path, free_port(), database, files, **access) as uri:
        store = Registry(uri)
        assert promote(*release(0), uri).promoted
        assert gate(str(finished(1)), str(tmp_path / "gate.json"), registry=uri, policy=POLICY).champion_version == "1"
        assert promote(release(1)[0], str(tmp_path / "gate.json"), uri).previous == "1"
        assert rollback(uri) == ("2", "1")
        found = fetch_champion(store, str(finished(1)), str(tmp_path / "work"))
        assert load_predictions(f"{found.folder}/caption") == load_predictions(finished(0) / "caption")
        assert store.alias("champion").tags["git_commit"]

        session = boto3.Session(USER["AWS_ACCESS_KEY_ID"], USER["AWS_SECRET_ACCESS_KEY"], region_name="us-east-1")
        bucket = session.resource("s3", endpoint_url=s3_server).Bucket(BUCKET)
        keys = [entry.key for entry in bucket.objects.filter(Prefix=folder)]
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
