"""Pipelines as the YAML that a cluster takes: the same bytes for the same source and settings."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kfp import compiler

from ofa.data.files import atomic_write
from pipelines.arguments import arguments
from pipelines.finetune import finetune

HEADER = "# Made by `ofa pipeline compile` out of pipelines/finetune.py and params.yaml: change those instead.\n"


def compile_pipeline(params: Mapping[str, Any], path: str | Path) -> None:
    """Write the pipeline as YAML, with the settings as its parameters' defaults; only the registry has none.

    Args:
        params: the content of params.yaml.
        path: the file to write.

    Raises:
        OFAError: the settings do not fit the pipeline.
    """
    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder) / "pipeline.yaml"
        compiler.Compiler().compile(finetune, str(package), pipeline_parameters=arguments(params))
        lines = package.read_text(encoding="utf-8").splitlines(keepends=True)
    # KFP's comment at the head lists defaults in the order of a hash table, which differs from process to process.
    body = next(number for number, line in enumerate(lines) if not line.startswith("#"))
    with atomic_write(path) as file:
        file.write(HEADER)
        file.writelines(lines[body:])
