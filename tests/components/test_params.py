"""Settings come out of KFP as params.yaml has them."""

import pytest
from google.protobuf import json_format
from kfp.compiler.pipeline_spec_builder import to_protobuf_value

from components.params import save_sections
from components.train.settings import ModelSettings, PretrainSection, train_config
from ofa.settings import load_yaml, section


@pytest.fixture
def carried(root):
    """The sections of params.yaml as a component receives them."""
    sections = load_yaml(root / "params.yaml")
    return {name: json_format.MessageToDict(to_protobuf_value(values)) for name, values in sections.items()}


def test_they_read_back_as_they_were(tmp_path, root, carried):
    assert isinstance(carried["train"]["seed"], float), "KFP knows floats only"
    path = save_sections(tmp_path, **carried)
    assert load_yaml(path) == load_yaml(root / "params.yaml")
    assert isinstance(load_yaml(path)["train"]["seed"], int)


def test_steps_take_them(tmp_path, root, carried):
    path = save_sections(tmp_path, **carried)
    assert section(path, "model", ModelSettings) == section(root / "params.yaml", "model", ModelSettings)
    carried_over, written = (section(file, "pretrain", PretrainSection) for file in (path, root / "params.yaml"))
    assert train_config(path, carried_over, "pretrain") == train_config(root / "params.yaml", written, "pretrain")


def test_the_order_of_keys_does_not_matter(tmp_path, carried):
    turned = {name: dict(reversed(list(carried[name].items()))) for name in reversed(list(carried))}
    one, two = save_sections(tmp_path / "one", **carried), save_sections(tmp_path / "two", **turned)
    assert open(one, "rb").read() == open(two, "rb").read()
