"""Promotion: a bundle becomes a version of the registered model, and, if the gate let it pass, the champion."""

import dataclasses
import io
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
from PIL import Image

import ofa
from components.deploy.bundle import EVALUATIONS, Bundle, load_bundle
from components.deploy.decision import PROMOTE, UNDECIDED, Decision, load_decision
from components.deploy.gate import gate
from components.deploy.registry import CHALLENGER, CHAMPION, DEFAULT_URI, MODEL, PREVIOUS, Registry, Version
from components.deploy.succession import ChampionMoved, move_champion, settle
from components.evaluate.record import load
from ofa.data.images import encode_base64
from ofa.errors import OFAError
from ofa.files import atomic_write

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


@dataclass(frozen=True)
class Promotion:
    """What `promote` did."""

    version: str
    """Version of the bundle in the registry."""
    promoted: bool
    """It is the champion now."""
    previous: str | None
    """The champion before."""
    decision: str
    """The gate's, in the end: promote, reject or undecided."""
    reason: str
    """Of the decision, one sentence."""


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
    it once more. The alias `challenger` points at the bundle's version until it is the champion. Where another version
    became the champion since the gate decided, the gate decides again, against that one and by the same policy.

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
        ChampionMoved: another version became the champion since the gate decided, and it could not decide again.
        RegistryDown: the registry does not answer.
    """
    content, verdict = load_bundle(bundle), load_decision(decision)
    _refuse_other_checkpoints(content, verdict, bundle, decision)
    for path in attachments:
        if not Path(path).is_file():
            raise OFAError(f"{path}: no such file to keep with the version")
    store = Registry(registry, name)
    version = register(bundle, store, [decision, *attachments], pipeline_run)
    while True:
        store.tag(version, {"gate": verdict.decision, "gate_reason": verdict.reason[:5000]})
        try:
            done = _move_aliases(store, version, verdict)
            break
        except ChampionMoved as moved:
            champion = store.alias(CHAMPION)
            if champion is not None and champion.number == version:  # another program promoted the same bundle
                continue
            verdict = _decide_again(store, store.find(_KEY, content.sha256, oldest=True), bundle, verdict)
            if verdict.decision == UNDECIDED:
                raise ChampionMoved(f"{moved}, and the gate {verdict.reason}") from None
    if out is not None:
        with atomic_write(out) as file:
            json.dump(dataclasses.asdict(done), file, indent=2)
            file.write("\n")
    return done


def register(bundle: str, store: Registry, attachments: Sequence[str] = (), pipeline_run: str = "") -> str:
    """Log the bundle as an MLflow model and register it, unless it is registered; the version's number. Programs that
    register the same bundle at the same moment get the same version."""
    content = load_bundle(bundle)
    with store.locked():
        if store.exists() and (known := store.find(_KEY, content.sha256, oldest=True)):
            return known.number
        tags = lineage_tags(bundle, content) | ({"pipeline_run": pipeline_run} if pipeline_run else {})
        for task in content.tasks:  # trained from a network of the registry, such as the champion's
            parent = tags.get(f"{task}.parent_sha256", "")
            if parent and store.exists() and (known := store.find(f"{task}.checkpoint_sha256", parent)):
                tags[f"{task}.parent_version"] = known.number
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
        tags |= {f"{task}.{key}": value for key, value in origin.training.items()}
    return tags


def rollback(registry: str = DEFAULT_URI, name: str = MODEL) -> tuple[str, str]:
    """Make the previous champion the champion again; a second rollback takes the first back.

    Returns:
        Versions: the champion before, and the champion now.

    Raises:
        OFAError: there is no previous champion.
        ChampionMoved: another version becomes the champion at this moment.
    """
    store = Registry(registry, name)
    champion, previous = store.alias(CHAMPION), store.alias(PREVIOUS)
    if champion is None or previous is None or champion.number == previous.number:
        raise OFAError(f"{registry}: model '{name}' has no previous champion to go back to")
    move_champion(store, previous.number, champion.number)
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
    settle(store)  # this may be the second start of a promotion that broke off
    champion, previous = store.alias(CHAMPION), store.alias(PREVIOUS)
    if champion is not None and champion.number == version:
        return Promotion(version, True, previous and previous.number, verdict.decision, verdict.reason)
    store.set_alias(CHALLENGER, version)
    if verdict.decision != PROMOTE:
        return Promotion(version, False, None, verdict.decision, verdict.reason)
    move_champion(store, version, verdict.champion_version)
    return Promotion(version, True, verdict.champion_version, verdict.decision, verdict.reason)


def _decide_again(store: Registry, version: Version, bundle: str, old: Decision) -> Decision:
    """The gate's decision against the champion of now; the document is kept with the version's run."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "gate.json"
        evaluations = str(Path(bundle) / EVALUATIONS)
        verdict = gate(evaluations, str(path), registry=store.uri, name=store.name, policy=old.policy)
        place = f"gate-against-{verdict.champion_version or 'nothing'}"
        for file in (path, path.with_suffix(".md")):
            store.call(lambda file=file: store.client.log_artifact(version.run_id, str(file), place))
    return verdict


def _log_and_register(
    bundle: str, content: Bundle, store: Registry, tags: dict[str, str], attachments: Sequence[str]
) -> str:
    parent = os.environ.get("MLFLOW_RUN_ID")  # a platform's run: ours becomes its child
    origin = {"stage": "promote"} | ({"mlflow.parentRunId": parent} if parent else {})
    experiment = store.experiment()
    run = store.call(lambda: store.client.create_run(experiment, run_name="release", tags=origin))
    model = store.call(lambda: _log(bundle, content, store, run.info.run_id, attachments))
    return store.register(model, run.info.run_id, tags, _KEY).number


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
