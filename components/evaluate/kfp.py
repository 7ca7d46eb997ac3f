"""The evaluation steps as KFP components: each calls the step of the package in its image."""

from kfp import dsl

from components import images


@dsl.component(base_image=images.EVALUATE, install_kfp_package=False)
def evaluate_network(
    task: str,
    network: dsl.Input[dsl.Model],
    tables: dsl.Input[dsl.Dataset],
    evaluation: dsl.Output[dsl.Artifact],
    metrics: dsl.Output[dsl.Metrics],
    answers: dsl.Output[dsl.ClassificationMetrics],
    split: str = "test",
    settings: dict = {},  # noqa: B006 - KFP reads defaults, it never shares them
):
    """Evaluate a network on a split of its task's table.

    Args:
        task: Name of the task.
        network: Checkpoint folder.
        tables: Folder of tables.
        split: Which split to evaluate.
        settings: Fields of the section `evaluate` of params.yaml.

    Returns:
        evaluation: Folder with scores, lineage and predictions.
        metrics: The scores, as the page of the pipeline shows them.
        answers: Which answers are taken for which; empty where answers are no texts that repeat.
    """
    from tempfile import TemporaryDirectory

    from components.evaluate.confusion import confusion
    from components.evaluate.stage import evaluate_stage
    from components.params import save_sections

    with TemporaryDirectory() as folder:
        params = save_sections(folder, evaluate=settings)
        found = evaluate_stage(task, network.path, tables.path, split, evaluation.path, params=params)
    metrics.metadata.update(found.scores)
    if matrix := confusion(evaluation.path):
        answers.log_confusion_matrix(*matrix)


@dsl.component(base_image=images.EVALUATE, install_kfp_package=False)
def write_report(
    evaluations: dsl.Input[list[dsl.Artifact]],
    tables: dsl.Input[dsl.Dataset],
    page: dsl.Output[dsl.HTML],
    decision: dsl.Input[dsl.Artifact] = None,
    stem: dsl.Input[dsl.Artifact] = None,
    pretrain: dsl.Input[dsl.Artifact] = None,
    finetune: dsl.Input[list[dsl.Artifact]] = None,
    title: str = "OFA evaluation",
):
    """Write a page about networks: scores, curves, pictures.

    Args:
        evaluations: Evaluation folders, one a task.
        tables: Folder of the tables that were evaluated; the page shows pictures of them.
        decision: The gate's decision, if it was asked.
        stem: What the training of the stem left, for its curves.
        pretrain: What pretraining left, for its curves.
        finetune: What finetuning left for each task, for its curves.
        title: Title of the page.

    Returns:
        page: The report, in one file.
    """
    from components.evaluate.report import report

    training = [run.path for run in (stem, pretrain, *(finetune or ())) if run]
    page.path += ".html"
    gate = decision.path if decision else None
    report([evaluation.path for evaluation in evaluations], page.path, gate, training, title)
