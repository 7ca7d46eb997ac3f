"""Arguments of a pipeline out of params.yaml.

The data steps take their settings one by one, under the name SECTION_KEY; a section of any other step is one argument.
"""

from collections.abc import Mapping
from typing import Any

from components.preprocess.kfp import build_tables, fetch_data, validate_data
from ofa.errors import OFAError, nearest

DATA = {"fetch": fetch_data, "validate": validate_data, "tables": build_tables}
"""Sections of the data steps and the components that know their keys."""

SECTIONS = ("model", "train", "stem", "pretrain", "finetune", "evaluate", "gate")


def arguments(params: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of `pipelines.finetune.finetune`, all but the registry.

    Args:
        params: the content of params.yaml.

    Raises:
        OFAError: a section is missing, a data step has no such setting, or a value is null, which KFP cannot carry.
    """
    missing = [name for name in SECTIONS if name not in params]
    if missing:
        raise OFAError(f"params: no section '{missing[0]}'{nearest(missing[0], list(params))}")
    values = {name: params[name] for name in SECTIONS}
    for name in DATA:
        values |= {f"{name}_{key}": value for key, value in _data(name, params.get(name) or {}).items()}
    _refuse_null(values, "params")
    return values | {"tasks": list(params["finetune"])}


def _data(section: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """A data step's settings: those given, else the defaults of its component."""
    inputs = DATA[section].component_spec.inputs
    defaults = {name: found.default for name, found in inputs.items() if found.optional}
    for key in given:
        if key not in defaults:
            raise OFAError(f"params: {section}: a pipeline cannot set '{key}'{nearest(key, list(defaults))}")
    values = defaults | dict(given)
    if isinstance(values.get("source"), list):
        values["source"] = " ".join(values["source"])
    return values


def _refuse_null(value: Any, where: str) -> None:
    if value is None:
        raise OFAError(f"{where} is null, which a pipeline cannot carry; leave the key out or give a value")
    if isinstance(value, Mapping):
        for key, part in value.items():
            _refuse_null(part, f"{where}.{key}")
