"""Promotion: a bundle becomes a version of the registered model, and, if the gate let it pass, the champion."""

import dataclasses
import io
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import pandas as pd
from PIL import Image

import ofa
from components.deploy.bundle import EVALUATIONS, Bundle, load_bundle
from components.deploy.decision import PROMOTE, Decision, load_decision
from components.deploy.registry import CHALLENGER, CHAMPION, DEFAULT_URI, MODEL, PREVIOUS, Registry
from components.evaluate.record import load
from ofa.data.files import atomic_write
from ofa.data.images import encode_base64
from ofa.errors import OFAError

REQUIREMENTS = (
    "mlflow",
    "numpy",
    "pandas",
    "pillow",
    "pydantic",
    "pyyaml",
    "safetensors",
    "tokenizers",
    "torch",
    "tqdm",
)
"""Packages that the registered model needs, besides `ofa` itself, which is shipped with it."""

_KEY = "bundle_sha256"


class ChampionMoved(OFAError):
    """Another version became the champion after the gate compared with the old one."""


@dataclass(frozen=True)
class Promotion:
    """What `promote` did."""

    version: str
    """Version of the bundle in the registry."""
    promoted: bool
    """It is the champion now."""
    previous: str | None
    """The champion before."""


def promote(
    bundle: str,
    decision: str,
    registry: str = DEFAULT_URI,
    name: str = MODEL,
    attachments: Sequence[str] = (),
    pipeline_run: str = "",
    out: str | None = None,
) -> Promotion:
    """Register a bundle and make it the champion if the gate's decision allows it.

    A bundle that is registered already is not registered again, so a promotion that broke off is finished by starting
    it once more. The alias `challenger` points at the bundle's version until it is the champion.

    Args:
        bundle: folder that `bundle` made.
        decision: gate.json of exactly these checkpoints.
        registry: MLflow tracking address.
        name: of the registered model.
        attachments: files to keep with the version's run, such as the report page.
        pipeline_run: id of the pipeline run that this is part of, kept as a tag.
        out: file for what was done, as JSON; None for none.

    Raises:
        OFAError: the decision is about other checkpoints, or a file to attach is missing.
        ChampionMoved: another version became the champion since the gate decided; decide again.
        RegistryDown: the registry does not answer.
    """
    content, verdict = load_bundle(bundle), load_decision(decision)
    _refuse_other_checkpoints(content, verdict, bundle, decision)
    for path in attachments:
        if not Path(path).is_file():
            raise OFAError(f"{path}: no such file to keep with the version")
    store = Registry(registry, name)
    version = register(bundle, store, [decision, *attachments], pipeline_run)
    store.tag(version, {"gate": verdict.decision, "gate_reason": verdict.reason[:5000]})
    done = _move_aliases(store, version, verdict)
    if out is not None:
        with atomic_write(out) as file:
            json.dump(dataclasses.asdict(done), file, indent=2)
            file.write("\n")
    return done


def register(bundle: str, store: Registry, attachments: Sequence[str] = (), pipeline_run: str = "") -> str:
    """Log the bundle as an MLflow model and register it, unless it is registered; the version's number."""
    content = load_bundle(bundle)
    with store.locked():
        if store.exists() and (known := store.find(_KEY, content.sha256)):
            return known.number
        tags = lineage_tags(bundle, content) | ({"pipeline_run": pipeline_run} if pipeline_run else {})
        return _log_and_register(bundle, content, store, tags, attachments)


def lineage_tags(bundle: str, content: Bundle) -> dict[str, str]:
    """What a version was made from, as registry tags."""
    tags = {_KEY: content.sha256}
    tags |= {"git_commit": content.git_commit} if content.git_commit else {}
    tags |= {"params_sha256": content.params_sha256} if content.params_sha256 else {}
    for task, member in content.tasks.items():
        origin = load(Path(bundle) / EVALUATIONS / task).lineage
        low, high = member.interval
        tags |= {
            f"{task}.{_name(member.metric)}": f"{member.score:.4f} [{low:.4f}, {high:.4f}]",
            f"{task}.checkpoint": origin.checkpoint,
            f"{task}.checkpoint_sha256": member.checkpoint_sha256,
            f"{task}.table_sha256": member.table_sha256,
        }
        tags |= {f"{task}.table_dvc": origin.table_dvc} if origin.table_dvc else {}
        tags |= {f"{task}.data_{key}": str(value) for key, value in origin.data.items()}
    return tags


def rollback(registry: str = DEFAULT_URI, name: str = MODEL) -> tuple[str, str]:
    """Make the previous champion the champion again; a second rollback takes the first back.

    Returns:
        Versions: the champion before, and the champion now.

    Raises:
        OFAError: there is no previous champion.
    """
    store = Registry(registry, name)
    with store.locked():
        champion, previous = store.alias(CHAMPION), store.alias(PREVIOUS)
        if champion is None or previous is None or champion.number == previous.number:
            raise OFAError(f"{registry}: model '{name}' has no previous champion to go back to")
        store.set_alias(CHAMPION, previous.number)
        store.set_alias(PREVIOUS, champion.number)
    return champion.number, previous.number


def _refuse_other_checkpoints(content: Bundle, verdict: Decision, bundle: str, decision: str) -> None:
    inside = {task: member.checkpoint_sha256 for task, member in content.tasks.items()}
    for task, checkpoint in verdict.challenger.items():
        if inside.get(task) != checkpoint:
            raise OFAError(
                f"{decision} decides about another {task} checkpoint than {bundle} holds; run the gate again"
            )
    unjudged = sorted(set(inside) - set(verdict.challenger))
    if verdict.decision == PROMOTE and unjudged:
        raise OFAError(f"{decision} has no rules for {', '.join(unjudged)} in {bundle}; add them to the gate's policy")


def _move_aliases(store: Registry, version: str, verdict: Decision) -> Promotion:
    champion, previous = store.alias(CHAMPION), store.alias(PREVIOUS)
    if champion is not None and champion.number == version:
        return Promotion(version, True, previous and previous.number)
    store.set_alias(CHALLENGER, version)
    if verdict.decision != PROMOTE:
        return Promotion(version, False, None)
    return Promotion(version, True, _replace_champion(store, version, verdict.champion_version))


def _replace_champion(store: Registry, version: str, expected: str | None) -> str | None:
    with store.locked():
        _refuse_other_champion(store, expected)
        if expected is not None:
            store.set_alias(PREVIOUS, expected)
        store.set_alias(CHAMPION, version)
        store.drop_alias(CHALLENGER)
    _refuse_other_champion(store, version)  # without a lock, someone may have written at the same moment
    return expected


def _refuse_other_champion(store: Registry, expected: str | None) -> None:
    champion = store.alias(CHAMPION)
    number = None if champion is None else champion.number
    if number != expected:
        shown = ["no version" if n is None else f"version {n}" for n in (number, expected)]
        raise ChampionMoved(f"{shown[0]} is the champion now, the gate compared with {shown[1]}; run the gate again")


def _log_and_register(
    bundle: str, content: Bundle, store: Registry, tags: dict[str, str], attachments: Sequence[str]
) -> str:
    parent = os.environ.get("MLFLOW_RUN_ID")  # a platform's run: ours becomes its child
    origin = {"stage": "promote"} | ({"mlflow.parentRunId": parent} if parent else {})
    experiment = store.experiment()
    run = store.call(lambda: store.client.create_run(experiment, run_name="release", tags=origin))
    model = store.call(lambda: _log(bundle, content, store, run.info.run_id, attachments))
    return str(store.call(lambda: store.mlflow.register_model(model, store.name, tags=tags)).version)


def _log(bundle: str, content: Bundle, store: Registry, run_id: str, attachments: Sequence[str]) -> str:
    """Log scores, files and the model to a run; the model's address."""
    mlflow = store.mlflow
    with mlflow.start_run(run_id=run_id):
        for task in content.tasks:
            scores = load(Path(bundle) / EVALUATIONS / task).scores
            mlflow.log_metrics({f"{task}.{_name(metric)}": value for metric, value in scores.items()})
        for path in attachments:
            mlflow.log_artifact(path)
        info = mlflow.pyfunc.log_model(
            name=store.name,
            python_model=str(Path(__file__).with_name("model_code.py")),
            artifacts={"bundle": str(Path(bundle).absolute())},
            code_paths=[str(Path(ofa.__file__).parent)],
            pip_requirements=[f"{package}=={metadata.version(package)}" for package in REQUIREMENTS],
            signature=_signature(),
            input_example=_example(sorted(content.tasks)),
        )
    return info.model_uri


def _signature():
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    optional = [ColSpec("string", name, required=False) for name in ("image", "text")]
    outputs = [ColSpec("string", "prediction"), ColSpec("double", "score")]
    return ModelSignature(Schema([ColSpec("string", "task"), *optional]), Schema(outputs))


def _example(tasks: Sequence[str]) -> pd.DataFrame:
    """A row for each task, about a red square."""
    content = io.BytesIO()
    Image.new("RGB", (64, 64), "red").save(content, "PNG")
    picture = encode_base64(content.getvalue())
    return pd.DataFrame(
        {"task": tasks, "image": [picture] * len(tasks), "text": ["what is in the picture"] * len(tasks)}
    )


def _name(metric: str) -> str:
    """A metric's name in the characters that MLflow allows."""
    return metric.replace("@", "_at_")
