"""`ofa check`: every setting, before hours of work depend on one."""

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

EVALUATIONS = Path("evaluations/test")
"""Of one set of settings; the gate, the report and the release take all that is in there."""


def check(params: Annotated[str, typer.Option(help="File with the settings.")] = "params.yaml") -> None:
    """Check every setting of params.yaml without running anything: unknown keys, wrong types, values out of range.

    Example: `ofa check && dvc repro`
    """
    from components.params import load_params

    sections = load_params(params)
    for name in sections:
        if name in _CHECKS:
            _CHECKS[name](params)
    typer.echo(f"{params}: {', '.join(sections)} can be used")


def _data(params: str) -> None:
    from components.preprocess.cli import step_settings
    from components.preprocess.codes import codes
    from components.preprocess.fetch import fetch
    from components.preprocess.tables import tables
    from components.preprocess.validate import validate
    from ofa.data.scenes import SceneConfig
    from ofa.settings import build

    build(SceneConfig, step_settings(fetch, "fetch", params)["scenes"], f"{params}: fetch.scenes")
    step_settings(validate, "validate", params)
    step_settings(tables, "tables", params)
    step_settings(codes, "codes", params)


def _pretraining(params: str) -> None:
    from components.params import section
    from components.train.settings import (
        ModelSettings,
        PretrainSection,
        StemSection,
        VqganSection,
        train_config,
    )

    section(params, "model", ModelSettings)
    for name, settings in (("vqgan", VqganSection), ("stem", StemSection), ("pretrain", PretrainSection)):
        train_config(params, section(params, name, settings), name, rows=1)


def _finetuning(params: str) -> None:
    from components.params import load_params
    from components.train.settings import finetune_section, train_config
    from ofa import tasks
    from ofa.errors import OFAError
    from ofa.settings import build

    sections = load_params(params)["finetune"] or {}
    for name in sections:
        own = finetune_section(params, name)
        task = _known(own.task or name, f"{params}: finetune.{name}")
        train_config(params, own, f"finetune.{name}", rows=1)
        build(tasks.get(task).Settings, own.settings, f"{params}: finetune.{name}.settings")
    for folder in sorted(EVALUATIONS.glob("*/")):
        if folder.name not in sections:
            raise OFAError(f"{folder}: evaluated by other settings, no section finetune.{folder.name} now; remove it")


def _evaluation(params: str) -> None:
    from components.evaluate.stage import EvaluateSection
    from components.params import section
    from ofa import tasks
    from ofa.generate import SearchConfig
    from ofa.settings import build

    for name, changes in section(params, "evaluate", EvaluateSection).search.items():
        own = dataclasses.asdict(tasks.create(name).search)  # of an instance: settings may decide about it
        build(SearchConfig, own | changes, f"{params}: evaluate.search.{name}")


def _release(params: str) -> None:
    from components.deploy.policy import load_policy

    for name in load_policy(params).tasks:
        _known(name, f"{params}: gate.tasks")


def _cluster(params: str) -> None:
    from components.cluster import ClusterSection
    from components.params import section

    section(params, "cluster", ClusterSection)


def _known(task: str, where: str) -> str:
    """The name of a task, if there is one of this name."""
    from ofa import tasks
    from ofa.errors import OFAError

    try:
        tasks.get(task)
    except OFAError as error:
        raise OFAError(f"{where}: {error}") from None
    return task


_CHECKS = {
    "fetch": _data,
    "pretrain": _pretraining,
    "finetune": _finetuning,
    "evaluate": _evaluation,
    "gate": _release,
    "cluster": _cluster,
}
"""What reads a section, with those that are read beside it."""
