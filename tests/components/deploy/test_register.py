"""What the registry knows of a version."""

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from threading import Barrier

import pytest

from components.deploy import registry
from components.deploy.bundle import load_bundle
from components.deploy.promote import register
from components.deploy.registry import Registry
from components.lineage import checkpoint_hash


def test_tags_tell_where_it_comes_from(stock, finished):
    store, content = Registry(f"sqlite:///{stock}/mlflow.db"), load_bundle(stock / "release-1")
    version = store.find("bundle_sha256", content.sha256)
    assert version.number == "2"
    record = json.loads((finished(1) / "caption" / "evaluation.json").read_text())
    assert version.tags["caption.checkpoint_sha256"] == record["lineage"]["checkpoint_sha256"]
    assert version.tags["caption.table_sha256"] == record["lineage"]["table_sha256"]
    low, high = record["interval"]
    assert version.tags["caption.CIDEr"] == f"{record['scores']['CIDEr']:.4f} [{low:.4f}, {high:.4f}]"
    assert "refcoco.Acc_at_0.5" in version.tags
    assert version.tags["git_commit"] == content.git_commit and version.tags["pipeline_run"] == "run-7"
    run = store.client.get_run(version.run_id)
    assert run.data.metrics["caption.CIDEr"] == pytest.approx(record["scores"]["CIDEr"])


def test_tags_name_the_parent(stock, network):
    """By its hash, and as a version where the registry knows it."""
    store = Registry(f"sqlite:///{stock}/mlflow.db")
    versions = [store.find("bundle_sha256", load_bundle(stock / f"release-{seed}").sha256) for seed in range(3)]
    assert [version.tags.get("caption.parent_version") for version in versions] == [None, "1", "2"]
    for seed in (1, 2):
        tags = versions[seed].tags
        assert tags["caption.parent_sha256"] == checkpoint_hash(network(seed - 1))[0]
        assert tags["caption.parent"] == network(seed - 1) and len(tags["refcoco.settings_sha256"]) == 64


def test_a_bundle_is_registered_once(stock, uri):
    assert register(str(stock / "release-2"), Registry(uri)) == "3"
    assert Registry(uri).find("bundle_sha256", "nothing") is None


class Server(Registry):
    """Has no lock, as an MLflow server has none, and lets another program go first where both know of nothing yet."""

    meanwhile = None

    def locked(self):
        return nullcontext()

    def register(self, *arguments):
        if action := self.meanwhile:
            self.meanwhile = None
            action()
        return super().register(*arguments)


def test_two_programs_register_the_same_bundle_once(stock, uri):
    """Each looked before the other had made its version."""
    store, release = Server(uri, "fresh"), str(stock / "release-0")
    store.meanwhile = lambda: register(release, Registry(uri, "fresh"))
    before = {run.info.run_id for run in store.client.search_runs([store.experiment()])}
    assert register(release, store) == "1"
    assert register(release, store) == "1"
    (version,) = store.client.search_model_versions("name = 'fresh'")
    runs = {run.info.run_id for run in store.client.search_runs([store.experiment()])}
    assert runs - before == {version.run_id}, "the other's run is taken back"


def test_an_answer_that_was_lost_makes_no_second_version(stock, uri, monkeypatch):
    """The version was made, and the request for it is repeated."""
    store, release = Registry(uri, "fresh"), str(stock / "release-0")
    make = store.mlflow.register_model

    def twice(*arguments, **options):
        make(*arguments, **options)
        return make(*arguments, **options)

    monkeypatch.setattr(store.mlflow, "register_model", twice)
    assert register(release, store) == "1"
    (version,) = store.client.search_model_versions("name = 'fresh'")
    assert store.client.get_run(version.run_id).info.lifecycle_stage == "active"


def test_parts_of_a_version_can_be_fetched(stock, uri, tmp_path):
    store = Registry(uri)
    evaluations = store.download("1", "evaluations", tmp_path / "evaluations")
    assert sorted(path.name for path in evaluations.iterdir()) == ["caption", "refcoco"]
    whole = store.download("1", ".", tmp_path / "whole")
    assert load_bundle(whole) == load_bundle(stock / "release-0")
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["evaluations", "whole"]


def test_a_new_registry_is_made_and_others_are_not_touched(stock, uri, finished, tmp_path):
    """The first version in a folder that is not there yet, while another registry is open; files go beside it."""
    other, new = Registry(uri), Registry(f"sqlite:///{tmp_path}/new/mlflow.db")
    assert new.alias("champion") is None and other.find("bundle_sha256", "nothing") is None
    (tmp_path / "report.html").write_text("a page")
    assert register(str(stock / "release-0"), new, [str(tmp_path / "report.html")]) == "1"
    assert {path.name for path in (tmp_path / "new").iterdir()} >= {"mlflow.db", "mlruns"}
    run = new.find("bundle_sha256", load_bundle(stock / "release-0").sha256).run_id
    assert [file.path for file in new.client.list_artifacts(run)] == ["report.html"]
    assert len(other.client.search_model_versions("name = 'ofa'")) == 3


ROUNDS = 20


def test_programs_may_set_the_same_tags_and_aliases_at_once(stock, uri, monkeypatch):
    """MLflow looks for the row, then writes it: of two that find none the slower one is refused."""
    stores = [Registry(uri), Registry(uri)]
    together = Barrier(len(stores), timeout=30)
    monkeypatch.setattr(registry, "RETRIES", (0.05, 0.05))

    def work(store):
        for number in range(ROUNDS):
            together.wait()
            store.tag("1", {f"tag-{number}": "same"})
            store.set_alias(f"alias-{number}", "1")

    with ThreadPoolExecutor(len(stores)) as pool:
        for done in [pool.submit(work, store) for store in stores]:
            done.result()
    assert {f"tag-{number}" for number in range(ROUNDS)} <= set(stores[0].alias("alias-0").tags)
