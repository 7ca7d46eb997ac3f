"""The same source and settings compile to the same bytes, whose parameters say what params.yaml says."""

import os
import subprocess
import sys

import pytest
import yaml

from ofa.errors import OFAError
from ofa.settings import load_yaml
from pipelines.arguments import arguments
from pipelines.compile import compile_pipeline


@pytest.fixture(scope="module")
def params(root):
    return load_yaml(root / "params.yaml")


def test_every_process_compiles_the_same_bytes(tmp_path, root):
    for seed in ("1", "2"):  # of Python's hashes, which decide the order of sets
        code = (
            "from ofa.settings import load_yaml\n"
            "from pipelines.compile import compile_pipeline\n"
            f"compile_pipeline(load_yaml('params.yaml'), {str(tmp_path / seed)!r})"
        )
        subprocess.run([sys.executable, "-c", code], cwd=root, check=True, env=os.environ | {"PYTHONHASHSEED": seed})
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()


def test_the_settings_are_the_defaults_and_the_registry_has_none(tmp_path, params):
    compile_pipeline(params, tmp_path / "pipeline.yaml")
    root = yaml.safe_load((tmp_path / "pipeline.yaml").read_text())["root"]
    inputs = root["inputDefinitions"]["parameters"]
    assert {name for name, given in inputs.items() if "defaultValue" not in given} == {"registry"}
    assert inputs["pretrain"]["defaultValue"] == params["pretrain"]
    assert inputs["fetch_scenes"]["defaultValue"] == params["fetch"]["scenes"]
    assert inputs["validate_image_rate"]["defaultValue"] == params["validate"]["image_rate"]
    assert inputs["tasks"]["defaultValue"] == list(params["finetune"])
    assert all(given["description"] for given in inputs.values())


def test_promotion_depends_on_the_gate_and_is_never_taken_from_a_cache(tmp_path, params):
    compile_pipeline(params, tmp_path / "pipeline.yaml")
    spec = yaml.safe_load((tmp_path / "pipeline.yaml").read_text())
    tasks = spec["root"]["dag"]["tasks"]
    assert tasks["gate-release"]["cachingOptions"] == {}
    (name,) = (name for name, task in tasks.items() if "triggerPolicy" in task)
    assert "'promote'" in tasks[name]["triggerPolicy"]["condition"] and "gate-release" in tasks[name]["dependentTasks"]
    inside = spec["components"][tasks[name]["componentRef"]["name"]]["dag"]["tasks"]
    assert list(inside) == ["promote-release"] and inside["promote-release"]["cachingOptions"] == {}
    assert tasks["fetch-data"]["cachingOptions"] == {"enableCache": True}


@pytest.mark.parametrize(
    "change, reason",
    [
        ({"tables": {"captions_per_imag": 2}}, "tables: a pipeline cannot set 'captions_per_imag', did you mean"),
        ({"train": {"lr": None}}, "params.train.lr is null"),
    ],
)
def test_settings_that_a_pipeline_cannot_carry(params, change, reason):
    with pytest.raises(OFAError, match=reason):
        arguments(params | change)


def test_a_missing_section_is_named(params):
    with pytest.raises(OFAError, match="no section 'gate'"):
        arguments({name: section for name, section in params.items() if name != "gate"})
