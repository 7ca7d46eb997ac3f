"""Arguments of a pipeline out of params.yaml: a section is one argument, as the steps take it."""

import copy
import dataclasses
from collections.abc import Mapping
from typing import Any

from components.cluster import ClusterSection
from ofa.errors import OFAError, nearest
from ofa.settings import build
from pipelines.catalog import Pipeline


def arguments(pipeline: Pipeline, params: Mapping[str, Any], given: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The arguments of a pipeline, all but those that are not `given` and that params.yaml does not hold.

    Args:
        pipeline: its parameters say which are wanted.
        params: the content of params.yaml.
        given: arguments that go before it; "model.size" is the key `size` of the argument `model`.

    Raises:
        OFAError: a section is missing, an argument is not one of the pipeline's, or a value is null, which KFP cannot
            carry.
    """
    given = dict(given or {})
    for name in (key.partition(".")[0] for key in given):
        if name not in pipeline.parameters:
            raise OFAError(
                f"the pipeline has no parameter '{name}'{nearest(name, list(pipeline.parameters))} "
                f"(there are: {', '.join(pipeline.parameters)})"
            )
    cluster = cluster_section(params)
    known = dataclasses.asdict(cluster) | {"shards": list(range(cluster.shards))}
    values = {}
    for name in pipeline.parameters:
        if name in given:
            values[name] = given[name]
        elif name in ("registry", *pipeline.needs, *pipeline.optional):
            continue
        elif name == "tasks":
            values[name] = list(_section(params, "finetune"))
        elif name in known:
            values[name] = known[name]
        else:
            values[name] = _section(params, name)
    values = copy.deepcopy(values)
    for path in (key for key in given if "." in key):
        _set(values, path, given[path])
    _refuse_null(values, "params")
    return values


def cluster_section(params: Mapping[str, Any]) -> ClusterSection:
    """The section `cluster` of params.yaml.

    Raises:
        OFAError: a key or a value is wrong.
    """
    return build(ClusterSection, params.get("cluster") or {}, "params: cluster")


def _set(values: dict[str, Any], path: str, value: Any) -> None:
    """Set the value at "section.key.key"; the last key may be new, since the sections hold no defaults."""
    *sections, key = path.split(".")
    place = values
    for number, name in enumerate(sections):
        place = place.get(name)
        if not isinstance(place, dict):
            raise OFAError(f"{path}: {'.'.join(sections[: number + 1])} is no section with keys")
    place[key] = value


def _section(params: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    if name not in params:
        raise OFAError(f"params: no section '{name}'{nearest(name, list(params))}")
    return params[name]


def _refuse_null(value: Any, where: str) -> None:
    if value is None:
        raise OFAError(f"{where} is null, which a pipeline cannot carry; leave the key out or give a value")
    if isinstance(value, Mapping):
        for key, part in value.items():
            _refuse_null(part, f"{where}.{key}")
