"""Pipelines as the YAML that a cluster takes: the same bytes for the same source and settings."""

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kfp import compiler

from ofa.data.files import atomic_write
from pipelines.arguments import arguments, cluster_section
from pipelines.catalog import pipeline

HEADER = "# Made by `ofa pipeline compile {name}` out of pipelines/ and params.yaml: change those instead.\n"
_IMAGE = re.compile(r"^( +image: )(ofa-python-)", re.MULTILINE)


def compile_pipeline(
    name: str,
    params: Mapping[str, Any],
    path: str | Path,
    given: Mapping[str, Any] | None = None,
    images: str = "",
) -> None:
    """Write a pipeline as YAML, with the settings as its parameters' defaults.

    Args:
        name: of the pipeline.
        params: the content of params.yaml.
        path: the file to write.
        given: arguments besides params.yaml; those that are not given, such as the registry, have no default.
        images: where the cluster pulls the images from, for example "registry.example.com/team"; by default
            `cluster.images` of params.yaml.

    Raises:
        OFAError: there is no such pipeline, or the settings do not fit it.
    """
    chosen = pipeline(name)
    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder) / "pipeline.yaml"
        values = arguments(chosen, params, given)
        compiler.Compiler().compile(chosen.component, str(package), pipeline_parameters=values)
        lines = package.read_text(encoding="utf-8").splitlines(keepends=True)
    # KFP's comment at the head lists defaults in the order of a hash table, which differs from process to process.
    body = next(number for number, line in enumerate(lines) if not line.startswith("#"))
    text = "".join(lines[body:])
    if images := images or cluster_section(params).images:
        text = _IMAGE.sub(rf"\1{images.rstrip('/')}/\2", text)
    with atomic_write(path) as file:
        file.write(HEADER.format(name=name))
        file.write(text)
