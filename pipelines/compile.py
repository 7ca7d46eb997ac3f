"""Pipelines as the YAML that a cluster takes: the same bytes for the same source and settings."""

import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from kfp import compiler

from components.train.trainjob import PRIORITY, QUEUE, Job
from ofa.files import atomic_write
from pipelines.arguments import arguments, cluster_section
from pipelines.catalog import pipeline

HEADER = "# Made by `ofa pipeline compile {name}` out of pipelines/ and params.yaml: change those instead.\n"


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
    chosen, cluster = pipeline(name), cluster_section(params)
    values = arguments(chosen, params, given)
    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder) / "pipeline.yaml"
        compiler.Compiler().compile(chosen.component, str(package), pipeline_parameters=values)
        spec, platform = yaml.safe_load_all(package.read_text(encoding="utf-8"))
    if images := images or cluster.images:
        for step in _executors(spec):
            if "container" in step:
                step["container"]["image"] = f"{images.rstrip('/')}/{step['container']['image']}"
    for pod in _executors(platform["platforms"]["kubernetes"]):
        _queue(pod, values.get("queue", cluster.queue))
    # KFP's own comment at the head lists defaults in the order of a hash table, which differs from process to process.
    with atomic_write(path) as file:
        file.write(HEADER.format(name=name))
        yaml.safe_dump_all([spec, platform], file)


def _executors(spec: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    return spec["deploymentSpec"]["executors"].values()


def _queue(pod: dict[str, Any], queue: str) -> None:
    """Let a step wait in a queue, by labels of its pod: the one place where Kubeflow Pipelines takes no parameters.

    A step that waits for a TrainJob does not: it takes nothing, the job waits there, and so nothing that was let in
    waits for something that was not.
    """
    if not queue:
        del pod["podMetadata"]
    elif pod["podMetadata"]["labels"][PRIORITY] != Job.priority:
        pod["podMetadata"]["labels"][QUEUE] = queue
