"""The commands of docs/cluster.md are ones that kubectl takes, and its settings are ones that there are."""

import os
import re
import shlex
import subprocess

import pytest
import yaml

from components.cluster import ClusterSection
from ofa.settings import build
from tests.k8s.kubectl import kubectl

BLOCK = re.compile(r"^```(yaml)?\n(.*?)^```", re.MULTILINE | re.DOTALL)
VALUES = {"key": "a", "secret": "b", "PIPELINES": "1", "TRAINER": "1", "KUEUE": "1"}


@pytest.fixture(scope="module")
def page(root):
    return (root / "docs/cluster.md").read_text()


@pytest.fixture(scope="module")
def commands(page):
    """Every kubectl command, its lines joined and its variables filled in."""
    lines = "".join(block for kind, block in BLOCK.findall(page) if not kind).replace("\\\n>", "")
    found = re.findall(r"^\$ (kubectl .*)$", lines, re.MULTILINE)
    filled = [re.sub(r"\$\([^)]*\)", "x", line).removesuffix(" &") for line in found]
    filled = [re.sub(r"\$(\w+)", lambda match: VALUES[match[1]], line) for line in filled]
    return [shlex.split(line, comments=True) for line in filled]


def test_kubectl_knows_every_command_and_option(commands):
    assert len(commands) > 20
    for words in commands:
        words = words[1:]
        while words[0].startswith("-"):  # options before the command: -n NAMESPACE
            del words[:2]
        verb = words[:1] if words[0] != "create" else words[:3] if words[1] == "secret" else words[:2]
        shown = kubectl(*verb, "--help") + kubectl("options")
        given = words[len(verb) : words.index("--") if "--" in words else None]
        for option in (word.partition("=")[0] for word in given if word.startswith("-")):
            assert re.search(rf"(^|[ ,]){option}[=, :]", shown, re.MULTILINE), f"{' '.join(verb)}: no option {option}"


def test_what_is_made_by_hand_is_what_the_manifests_ask_for(commands, root, tmp_path):
    (tmp_path / "s3.json").write_text("{}")
    (tmp_path / "params.yaml").write_text("")
    made = {}
    for words in commands:
        if "create" in words and "namespace" not in words:
            found = yaml.safe_load(kubectl(*words[1:], "--dry-run=client", "-o", "yaml", cwd=tmp_path))
            made[found["kind"], found["metadata"]["name"]] = set(found["data"])
    rendered = kubectl("kustomize", root / "k8s/overlays/gpu")
    for name, key in re.findall(r"secretKeyRef:\n +key: (\S+)\n +name: (\S+)", rendered):
        assert name in made["Secret", key]
    assert "s3.json" in made["Secret", "objects"] and "params.yaml" in made["ConfigMap", "params"]


def test_its_folders_are_there(commands, root):
    paths = [words[words.index(flag) + 1] for words in commands for flag in ("-k", "-f") if flag in words]
    own = [path for path in paths if not path.startswith(("github.com", "https://"))]
    assert own and all((root / path).exists() for path in own)


def test_its_settings_are_ones_that_there_are(page):
    settings = [yaml.safe_load(block) for kind, block in BLOCK.findall(page) if kind]
    (section,) = [found["cluster"] for found in settings if "cluster" in found]
    assert build(ClusterSection, section, "cluster").queue == "training"


def test_the_file_of_the_store_is_json(page, tmp_path):
    (text,) = re.findall(r"^\$ (cat >s3\.json <<EOF\n(?:> .*\n)+)", page, re.MULTILINE)
    script = text.replace("\n> ", "\n")
    subprocess.run(["sh", "-c", script], cwd=tmp_path, check=True, env=os.environ | {"key": "a", "secret": "b"})
    (identity,) = yaml.safe_load((tmp_path / "s3.json").read_text())["identities"]
    assert identity["credentials"] == [{"accessKey": "a", "secretKey": "b"}]
