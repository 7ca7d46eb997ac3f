"""Settings from YAML: typed, and with errors that name place, key and the nearest known key."""

from dataclasses import dataclass, field

import pytest

from ofa.errors import OFAError
from ofa.settings import build, load_yaml, section


@dataclass(frozen=True, kw_only=True)
class Inner:
    rate: float = 1.0
    sizes: tuple[int, ...] = (1, 2)


@dataclass(frozen=True, kw_only=True)
class Outer:
    steps: int
    inner: Inner = field(default_factory=Inner)

    def __post_init__(self):
        if self.steps < 1:
            raise ValueError(f"steps must be at least 1, got {self.steps}")


def test_nested_values_become_dataclasses_and_lists_tuples():
    made = build(Outer, {"steps": 3, "inner": {"rate": 2, "sizes": [4]}}, "params.yaml: train")
    assert made == Outer(steps=3, inner=Inner(rate=2.0, sizes=(4,)))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"stepz": 3}, r"params.yaml: train: unknown key 'stepz', did you mean 'steps'\?"),
        ({"steps": 3, "inner": {"rat": 1}}, r"params.yaml: train.inner: unknown key 'rat', did you mean 'rate'\?"),
        ({"steps": "many"}, r"params.yaml: train.steps: .*integer.*'many'"),
        ({"steps": 1.5}, r"params.yaml: train.steps: .*integer"),
        ({"steps": 0}, r"steps must be at least 1, got 0"),
        ({}, r"params.yaml: train.steps: Field required"),
        ({"steps": 1, "inner": 4}, r"params.yaml: train.inner: expected keys and values, found 4"),
    ],
)
def test_errors_name_place_and_remedy(values, message):
    with pytest.raises(OFAError, match=message):
        build(Outer, values, "params.yaml: train")


def test_a_missing_section_names_the_nearest(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text("train:\n  steps: 3\n")
    assert section(path, "train", Outer) == Outer(steps=3)
    with pytest.raises(OFAError, match=r"no section 'trian', did you mean 'train'\?"):
        section(path, "trian", Outer)


@pytest.mark.parametrize(("text", "message"), [("a: [", "not valid YAML"), ("- 1", "expected sections")])
def test_a_file_that_is_no_settings_file_is_named(tmp_path, text, message):
    path = tmp_path / "broken.yaml"
    path.write_text(text)
    with pytest.raises(OFAError, match=f"{path}: {message}"):
        load_yaml(path)
    with pytest.raises(OFAError, match="no such file"):
        load_yaml(tmp_path / "absent.yaml")
