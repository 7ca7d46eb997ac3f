"""The pipeline from raw data to a promoted release: one network is pretrained, then finetuned for each task.

The steps, their order and their settings are those of `dvc.yaml` and `params.yaml`. This module holds no settings of
its own; `pipelines.arguments` makes the arguments.
"""

from typing import NamedTuple

from kfp import dsl

from components.deploy.kfp import bundle_release, gate_release, promote_release
from components.evaluate.kfp import evaluate_network, write_report
from components.preprocess.kfp import build_tables, fetch_data, validate_data
from components.train.kfp import finetune_network, pretrain_network, train_stem


class Release(NamedTuple):
    """What a run ends with."""

    decision: str
    """promote, reject or undecided."""
    report: dsl.HTML
    """Scores, curves, pictures, lineage and the gate's decision."""


@dsl.pipeline(
    name="ofa-finetune",
    description="From raw data to a promoted release: data, pretraining, finetuning for each task, evaluation, gate.",
)
def finetune(
    fetch_source: str,
    fetch_scenes: dict,
    fetch_license: str,
    validate_image_rate: float,
    validate_max_bad_rows: int,
    tables_captions_per_image: int,
    tables_expressions_per_image: int,
    tables_questions_per_image: int,
    tables_pretraining_per_image: int,
    tables_answers: int,
    tables_processes: int,
    tables_max_bad_rows: int,
    model: dict,
    train: dict,
    stem: dict,
    pretrain: dict,
    finetune: dict,
    evaluate: dict,
    gate: dict,
    tasks: list,
    registry: str,
) -> Release:
    """Train, judge and release.

    Args:
        fetch_source: "scenes" for the built-in pictures; otherwise folders or addresses, separated by spaces.
        fetch_scenes: What to change about the built-in pictures.
        fetch_license: Terms of the data; by default the license files that come with them.
        validate_image_rate: Share of the pictures that are decoded whole, 0 to 1.
        validate_max_bad_rows: How many rows may be put aside.
        tables_captions_per_image: Rows of a picture in the training table of captions at most (0: all).
        tables_expressions_per_image: The same for referring expressions.
        tables_questions_per_image: The same for questions.
        tables_pretraining_per_image: The same for each type of rows of the pretraining table.
        tables_answers: How many of the most frequent answers VQA may give (0: all).
        tables_processes: How many build tables at once (0: one a core).
        tables_max_bad_rows: How many rows may be left out of the tables because they cannot be written.
        model: The network; section of params.yaml, as the following are.
        train: What all trainings share.
        stem: Pretraining of the encoder on boxes and the texts that mean them.
        pretrain: Pretraining on all tasks together.
        finetune: Finetuning, by task.
        evaluate: Evaluation.
        gate: What a release must show before it replaces the champion.
        tasks: Keys of `finetune` to train and release.
        registry: MLflow tracking address: curves, the model registry.

    Returns:
        The gate's decision and the report.
    """
    fetched = fetch_data(source=fetch_source, scenes=fetch_scenes, license=fetch_license)
    validated = validate_data(
        raw=fetched.outputs["raw"], image_rate=validate_image_rate, max_bad_rows=validate_max_bad_rows
    )
    built = build_tables(
        raw=fetched.outputs["raw"],
        validated=validated.outputs["validated"],
        captions_per_image=tables_captions_per_image,
        expressions_per_image=tables_expressions_per_image,
        questions_per_image=tables_questions_per_image,
        pretraining_per_image=tables_pretraining_per_image,
        answers=tables_answers,
        processes=tables_processes,
        max_bad_rows=tables_max_bad_rows,
    )
    tables = built.outputs["tables"]
    seeing = train_stem(
        tables=tables, model=model, train=train, stem=stem, pretrain=pretrain, finetune=finetune, registry=registry
    )
    pretrained = pretrain_network(
        tables=tables,
        stem=seeing.outputs["network"],
        model=model,
        train=train,
        pretrain=pretrain,
        finetune=finetune,
        registry=registry,
    )
    with dsl.ParallelFor(tasks, name="task") as task:
        tuned = finetune_network(
            name=task,
            tables=tables,
            pretrained=pretrained.outputs["network"],
            train=train,
            finetune=finetune,
            registry=registry,
        )
        evaluated = evaluate_network(task=task, network=tuned.outputs["network"], tables=tables, settings=evaluate)

    # Each consumer needs a Collected of its own: KFP changes the object.
    evaluations = evaluated.outputs["evaluation"]
    decided = gate_release(
        evaluations=dsl.Collected(evaluations), tables=tables, policy=gate, registry=registry
    ).set_caching_options(False)
    reported = write_report(
        evaluations=dsl.Collected(evaluations),
        tables=tables,
        decision=decided.outputs["decision"],
        stem=seeing.outputs["run"],
        pretrain=pretrained.outputs["run"],
        finetune=dsl.Collected(tuned.outputs["run"]),
    )
    bundled = bundle_release(evaluations=dsl.Collected(evaluations), networks=dsl.Collected(tuned.outputs["network"]))
    with dsl.If(decided.outputs["Output"] == "promote", name="promote"):
        promote_release(
            release=bundled.outputs["release"],
            decision=decided.outputs["decision"],
            report=reported.outputs["page"],
            registry=registry,
            pipeline_run=dsl.PIPELINE_JOB_ID_PLACEHOLDER,
        ).set_caching_options(False)
    return Release(decision=decided.outputs["Output"], report=reported.outputs["page"])
