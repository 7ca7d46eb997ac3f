"""The same source and settings compile to the same bytes, which say what a cluster has to know."""

import copy
import os
import subprocess
import sys

import pytest
import yaml

from components.images import TAG
from ofa.errors import OFAError
from ofa.settings import load_yaml
from pipelines.arguments import arguments
from pipelines.catalog import PIPELINES
from pipelines.compile import compile_pipeline

TRAININGS = {"train-stem", "pretrain-network", "finetune-network"}
HEAVY = TRAININGS | {"evaluate-network"}
"""Steps for nodes with GPUs; of these, trainings hand theirs on."""

CLASSES = {
    "ofa-training": TRAININGS,
    "ofa-data": {"fetch-data", "validate-data", "build-shards", "build-tables", "describe-tables"},
    "ofa-evaluation": {"evaluate-network", "gate-release"},  # which may score the champion
}
"""Steps by their class in a queue; all others are ofa-light."""

OUTSIDE = {
    "fetch-data", "find-version", "look-for-news", "get-champion", "gate-release", "promote-release",
    "roll-out-champion", "close-run",
}  # fmt: skip
"""Steps that read or change what lies outside the pipeline."""


@pytest.fixture(scope="module")
def params(root):
    return load_yaml(root / "params.yaml")


@pytest.fixture(scope="module")
def compiled(params, tmp_path_factory):
    """By name of the pipeline: its specification and that of the platform."""
    folder, found = tmp_path_factory.mktemp("compiled"), {}
    for name in PIPELINES:
        compile_pipeline(name, params, folder / name)
        found[name] = list(yaml.safe_load_all((folder / name).read_text()))
    return found


def tasks(spec):
    """Every task of a pipeline that runs a container, by name."""
    dags = [spec["root"]["dag"], *(part["dag"] for part in spec["components"].values() if "dag" in part)]
    return {
        name: (task, spec["components"][task["componentRef"]["name"]]["executorLabel"])
        for dag in dags
        for name, task in dag["tasks"].items()
        if "executorLabel" in spec["components"][task["componentRef"]["name"]]
    }


def group(spec, task):
    """The tasks of the block that holds a task, and of those around it, outermost first."""
    for name, part in [("root", spec["root"]), *spec["components"].items()]:
        if task in part.get("dag", {}).get("tasks", {}):
            inside = part["dag"]["tasks"]
            if name == "root":
                return [inside]
            (outer,) = (
                key
                for _, other in [("root", spec["root"]), *spec["components"].items()]
                for key, found in other.get("dag", {}).get("tasks", {}).items()
                if found["componentRef"]["name"] == name
            )
            return [*group(spec, outer), inside]
    raise KeyError(task)


def test_every_process_compiles_the_same_bytes(tmp_path, root):
    for seed in ("1", "2"):  # of Python's hashes, which decide the order of sets
        code = (
            "from ofa.settings import load_yaml\n"
            "from pipelines.catalog import PIPELINES\n"
            "from pipelines.compile import compile_pipeline\n"
            f"for name in PIPELINES: compile_pipeline(name, load_yaml('params.yaml'), f'{tmp_path}/{{name}}-{seed}')"
        )
        subprocess.run([sys.executable, "-c", code], cwd=root, check=True, env=os.environ | {"PYTHONHASHSEED": seed})
    for name in PIPELINES:
        assert (tmp_path / f"{name}-1").read_bytes() == (tmp_path / f"{name}-2").read_bytes()


@pytest.mark.parametrize("name", PIPELINES)
def test_the_settings_are_the_defaults_and_everything_is_described(compiled, params, name):
    spec = compiled[name][0]
    inputs = spec["root"]["inputDefinitions"]["parameters"]
    open_ones = {key for key, given in inputs.items() if "defaultValue" not in given}
    assert open_ones == {"registry", *PIPELINES[name].needs}
    assert inputs["gate" if "gate" in inputs else "pretrain"]["defaultValue"]
    assert inputs["tasks"]["defaultValue"] == list(params["finetune"])
    assert all(given["description"] for given in inputs.values())
    assert len(spec["pipelineInfo"]["description"]) > 40
    for part in spec["components"].values():
        if "executorLabel" in part and "importer" not in part["executorLabel"]:
            for given in (part.get("inputDefinitions", {}), part.get("outputDefinitions", {})):
                for value in (*given.get("parameters", {}).values(), *given.get("artifacts", {}).values()):
                    assert value.get("description"), value


@pytest.mark.parametrize("name", PIPELINES)
def test_each_step_asks_for_what_it_needs(compiled, name):
    spec, platform = compiled[name]
    pods = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    containers = spec["deploymentSpec"]["executors"]
    for step, (task, label) in tasks(spec).items():
        if "importer" in containers[label]:
            continue
        container, pod = containers[label]["container"], pods[label]
        assert container["image"].endswith(f":{TAG}") and "ofa-python-" in container["image"]
        assert "pip install" not in str(container)
        assert container["resources"]["resourceMemoryLimit"] and container["resources"]["resourceCpuRequest"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert ("activeDeadlineSeconds" in pod) == (step not in TRAININGS), "`hours` limits these, and nothing else"
        assert int(pod.get("activeDeadlineSeconds", 3600)) >= 3600
        retry = task["retryPolicy"]
        assert retry["maxRetryCount"] >= 2 and retry["backoffDuration"] == "30s" and retry["backoffFactor"] == 2.0
        heavy = step in HEAVY
        assert ("accelerator" in container["resources"]) == (step == "evaluate-network")
        assert bool(pod.get("nodeSelector")) == heavy and bool(pod.get("tolerations")) == heavy
        if step == "evaluate-network":
            (shared,) = pod["emptyDirMounts"]
            assert (shared["mountPath"], shared["medium"]) == ("/dev/shm", "Memory")
    assert "activeDeadlineSeconds" not in platform["platforms"]["kubernetes"].get("pipelineConfig", {})


@pytest.mark.parametrize("name", PIPELINES)
def test_each_step_has_its_priority_in_the_queue(params, root, tmp_path, name):
    settings = params | {"cluster": {**params["cluster"], "queue": "training"}}
    compile_pipeline(name, settings, tmp_path / "pipeline.yaml")
    spec, platform = yaml.safe_load_all((tmp_path / "pipeline.yaml").read_text())
    pods = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    manifests = (root / "k8s/components/kueue/priorities.yaml").read_text()
    values = {found["metadata"]["name"]: found["value"] for found in yaml.safe_load_all(manifests)}
    assert sorted(values, key=values.__getitem__) == ["ofa-training", "ofa-data", "ofa-evaluation", "ofa-light"]
    for step, (_, label) in tasks(spec).items():
        if not step.startswith("importer"):
            wanted = next((each for each, steps in CLASSES.items() if step in steps), "ofa-light")
            queue = {} if step in TRAININGS else {"kueue.x-k8s.io/queue-name": "training"}
            found = pods[label]["podMetadata"]["labels"]
            assert found == {"kueue.x-k8s.io/priority-class": wanted} | queue, step


def test_without_a_queue_no_step_has_its_labels(compiled, params, tmp_path):
    assert not params["cluster"].get("queue")
    assert not [name for name, (_, platform) in compiled.items() if "kueue" in str(platform)]
    compile_pipeline("finetune", params, tmp_path / "pipeline.yaml", {"queue": "fast"})
    assert "kueue.x-k8s.io/queue-name: fast" in (tmp_path / "pipeline.yaml").read_text()


@pytest.mark.parametrize("name", ["pretrain", "finetune", "retrain"])
def test_a_training_hands_its_machines_on_to_a_trainjob(compiled, params, name):
    spec, platform = compiled[name]
    pods = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    found = {step: label for step, (_, label) in tasks(spec).items() if step in TRAININGS}
    assert found
    for step in found:
        component = spec["components"][f"comp-{step}"]
        passed = {entry["field"]: entry.get("applyToTask", False) for entry in component["taskConfigPassthroughs"]}
        assert passed == {
            "RESOURCES": False, "KUBERNETES_TOLERATIONS": False, "KUBERNETES_NODE_SELECTOR": False,
            "KUBERNETES_AFFINITY": False, "ENV": True, "KUBERNETES_VOLUMES": True,
        }  # fmt: skip
        assert component["inputDefinitions"]["parameters"]["placed"]["parameterType"] == "TASK_CONFIG"
        given = tasks(spec)[step][0]["inputs"]["parameters"]
        for name in ("nodes", "gpus", "queue", "hours"):
            assert given[name] == {"componentInputParameter": f"pipelinechannel--{name}"}
    inputs = spec["root"]["inputDefinitions"]["parameters"]
    assert (inputs["nodes"]["defaultValue"], inputs["gpus"]["defaultValue"]) == (1, 1)
    for step in (*found, "close-run"):  # which waits for the nodes, and which removes what they left
        pod = pods[f"exec-{step}"]
        assert {volume["constant"]: volume["mountPath"] for volume in pod["pvcMount"]} == {
            "training-data": "/training/data",
            "training-checkpoints": "/training/checkpoints",
        }
        (run,) = pod["fieldPathAsEnv"]
        assert run == {"name": "OFA_PIPELINE_RUN", "fieldPath": "metadata.labels['pipeline/runid']"}


@pytest.mark.parametrize("name", PIPELINES)
def test_every_block_hands_its_inputs_on(compiled, name):
    """KFP's compiler forgets parameters that only the resources of a step name."""
    spec = compiled[name][0]
    for block in (spec["root"], *spec["components"].values()):
        known = set(block.get("inputDefinitions", {}).get("parameters", {}))
        for task in block.get("dag", {}).get("tasks", {}).values():
            given = task.get("inputs", {}).get("parameters", {}).values()
            assert {one["componentInputParameter"] for one in given if "componentInputParameter" in one} <= known


@pytest.mark.parametrize("name", PIPELINES)
def test_only_what_stays_in_the_pipeline_comes_from_a_cache(compiled, name):
    spec = compiled[name][0]
    for step, (task, _) in tasks(spec).items():
        if not step.startswith("importer"):
            assert bool(task["cachingOptions"].get("enableCache")) == (step not in OUTSIDE), step


@pytest.mark.parametrize("name", PIPELINES)
def test_the_last_page_is_written_whatever_happened(compiled, name):
    found = compiled[name][0]["root"]["dag"]["tasks"]
    assert set(found) == {"exit-handler-1", "close-run"}
    assert found["close-run"]["triggerPolicy"]["strategy"] == "ALL_UPSTREAM_TASKS_COMPLETED"


def conditions(spec, task):
    """The conditions that a task stands under, outermost first."""
    blocks = group(spec, task)
    names = [
        next(part["componentRef"]["name"] for part in outer.values() if _holds(spec, part, inner))
        for outer, inner in zip(blocks, blocks[1:], strict=False)
    ]
    found = []
    for outer, name in zip(blocks, names, strict=False):
        (part,) = (part for part in outer.values() if part["componentRef"]["name"] == name)
        found.append(part.get("triggerPolicy", {}).get("condition", ""))
    return [condition for condition in found if condition]


def _holds(spec, part, inner):
    return spec["components"][part["componentRef"]["name"]].get("dag", {}).get("tasks") is inner


def test_promotion_and_roll_out_depend_on_the_gate(compiled):
    spec = compiled["finetune"][0]
    (gate,) = conditions(spec, "promote-release")
    assert "gate-release" in gate and "'promote'" in gate
    asked, service = conditions(spec, "roll-out-champion")
    assert asked == gate and "service" in service


def test_retraining_depends_on_new_data(compiled):
    spec = compiled["retrain"][0]
    for step in ("fetch-data", "get-champion", "promote-release", "finetune-network"):
        assert "'new'" in conditions(spec, step)[0] and "look-for-news" in conditions(spec, step)[0]
    for step in ("find-version", "look-for-news"):
        assert conditions(spec, step) == []
    assert [text for text in conditions(spec, "roll-out-champion") if "'promote'" in text]


def test_the_gate_pipeline_registers_nothing(compiled):
    assert not {"promote-release", "roll-out-champion", "bundle-release"} & set(tasks(compiled["evaluate-gate"][0]))


def test_shards_and_tasks_run_side_by_side(compiled, params):
    spec = compiled["finetune"][0]
    loops = [
        task["parameterIterator"]["items"]["inputParameter"]
        for part in spec["components"].values()
        for task in part.get("dag", {}).get("tasks", {}).values()
        if "parameterIterator" in task
    ]
    assert sorted(loops) == ["pipelinechannel--shards", "pipelinechannel--tasks"]
    inputs = spec["root"]["inputDefinitions"]["parameters"]
    assert inputs["shards"]["defaultValue"] == list(range(params["cluster"]["shards"]))


def test_images_come_from_the_registry_that_is_named(tmp_path, params):
    compile_pipeline("finetune", params, tmp_path / "a", images="registry.example.com/team/")
    images = [line.strip() for line in (tmp_path / "a").read_text().splitlines() if " image: " in line]
    assert images and all(line.startswith("image: registry.example.com/team/ofa-python-") for line in images)
    settings = params | {"cluster": {**params["cluster"], "images": "registry.example.com/team"}}
    compile_pipeline("finetune", settings, tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == (tmp_path / "a").read_bytes()


@pytest.mark.parametrize(
    "change, reason",
    [
        ({"train": {"lr": None}}, "params.train.lr is null"),
        ({"cluster": {"shardz": 2}}, "cluster: unknown key 'shardz', did you mean 'shards'"),
        ({"cluster": {"shards": 0}}, "shards is 0; it must be at least 1"),
        ({"cluster": {"nodes": 0}}, "nodes is 0; it must be at least 1"),
        ({"cluster": {"hours": 0}}, "hours is 0; it must be more than 0"),
    ],
)
def test_settings_that_a_pipeline_cannot_carry(params, change, reason):
    with pytest.raises(OFAError, match=reason):
        arguments(PIPELINES["finetune"], params | change)


def test_a_key_of_a_section_is_set_for_one_run(params):
    kept = copy.deepcopy(params)
    given = {"tasks": ["vqa"], "model.size": "tiny", "finetune.vqa.train.steps": 5, "model.overrides": {"dropout": 0.0}}
    found = arguments(PIPELINES["finetune"], params, given)
    assert found["tasks"] == ["vqa"]
    assert found["model"] == params["model"] | {"size": "tiny", "overrides": {"dropout": 0.0}}
    assert found["finetune"]["vqa"]["train"]["steps"] == 5
    assert found["finetune"]["caption"] == params["finetune"]["caption"] and params == kept


@pytest.mark.parametrize("path, reason", [("model.size.x", "model.size is no section"), ("modl.size", "did you mean")])
def test_a_key_that_no_section_can_have_is_refused(params, path, reason):
    with pytest.raises(OFAError, match=reason):
        arguments(PIPELINES["finetune"], params, {path: 1})


def test_a_missing_section_and_an_unknown_parameter_are_named(params):
    less = copy.deepcopy(params)
    del less["gate"]
    with pytest.raises(OFAError, match="no section 'gate'"):
        arguments(PIPELINES["finetune"], less)
    with pytest.raises(OFAError, match="no parameter 'networkz', did you mean 'networks'"):
        arguments(PIPELINES["evaluate-gate"], params, {"networkz": "x"})
