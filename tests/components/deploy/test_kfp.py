"""The release as a pipeline: evaluate, decide, bundle and promote, run by KFP in this process."""

from kfp import dsl

from components.deploy.kfp import bundle_release, gate_release, promote_release
from components.deploy.registry import Registry
from components.evaluate.kfp import evaluate_network


@dsl.component(base_image="python", install_kfp_package=False)
def copy_network(path: str, network: dsl.Output[dsl.Model]):
    """Stands where the training would."""
    import shutil

    shutil.copytree(path, network.path)


def test_the_steps_run_as_components(tmp_path, kfp_here, network, write_table, uri):
    tables = tmp_path / "tables"
    tables.mkdir()
    for split in ("train", "test"):
        (tables / f"refcoco_{split}.tsv").write_text(open(write_table("refcoco", [{} for _ in range(3)])).read())
    policy = {"tasks": {"refcoco": {"above_baseline": False}}}
    settings = {"latency_samples": 1, "resamples": 200, "search": {"refcoco": {"beam": 1}}}

    @dsl.pipeline
    def release_pipeline():
        data = dsl.importer(artifact_uri=str(tables), artifact_class=dsl.Dataset)
        with dsl.ParallelFor(["refcoco"]) as task:
            model = copy_network(path=network(5))
            found = evaluate_network(task=task, network=model.outputs["network"], tables=data.output, settings=settings)
        evaluations = found.outputs["evaluation"]  # each consumer needs a Collected of its own: KFP changes it
        decided = gate_release(evaluations=dsl.Collected(evaluations), policy=policy, registry=uri)
        networks = dsl.Collected(model.outputs["network"])
        made = bundle_release(evaluations=dsl.Collected(evaluations), networks=networks)
        with dsl.If(decided.outputs["Output"] == "promote"):
            promote_release(release=made.output, decision=decided.outputs["decision"], registry=uri)

    release_pipeline()
    champion = Registry(uri).alias("champion")
    assert champion.number == "4" and len(champion.tags["params_sha256"]) == 64
    assert champion.tags["refcoco.settings_sha256"]
