"""`ofa train`: the training steps on the command line."""

import logging
import os
from pathlib import Path
from typing import Annotated

import typer

from components.cli import Commands

app = Commands(
    "train",
    "Train: the VQ-GAN, the stem, pretraining, and finetuning for one task. A run that was stopped goes on.\n\n"
    "Example: `ofa train finetune caption --init models/pretrain`",
)

Tables = Annotated[str, typer.Option(help="Folder of tables, as `ofa data build` makes it.")]
Params = Annotated[str, typer.Option(help="File with the settings.")]
Work = Annotated[str, typer.Option(help="Folder for checkpoints and curves; an interrupted run there goes on.")]
Recipe = Annotated[str, typer.Option(help="Name of a file below params/, in place of --params.")]
Out = Annotated[str, typer.Option(help="Folder for the trained network.")]


@app.callback()
def group() -> None:
    # Where the weights come from, and whether an interrupted run goes on, is worth a line.
    logging.basicConfig(format="%(message)s")
    for name in ("ofa", "components"):
        logging.getLogger(name).setLevel(logging.INFO)


@app.command()
def vqgan(
    tables: Tables = "data/tables",
    out: Out = "models/vqgan",
    work: Work = "runs/vqgan",
    params: Params = "params.yaml",
) -> None:
    """Train the network between pictures and image codes; the original's needs no training.

    Example: `ofa train vqgan --tables data/tables --out models/vqgan`
    """
    from components.train.vqgan import vqgan

    _report(vqgan(tables, out, work, params), out, work)


@app.command()
def stem(
    tables: Tables = "data/tables", out: Out = "models/stem", work: Work = "runs/stem", params: Params = "params.yaml"
) -> None:
    """Pretrain the encoder on boxes and the texts that mean them, in place of ImageNet weights.

    Example: `ofa train stem --tables data/tables --out models/stem`
    """
    from components.train.stem import stem

    _report(stem(tables, out, work, params), out, work)


@app.command()
def pretrain(
    tables: Tables = "data/tables",
    out: Out = "models/pretrain",
    work: Work = "runs/pretrain",
    init: Annotated[str, typer.Option(help="Network to start from: a folder, or a .pt file; empty: none.")] = "",
    params: Params = "params.yaml",
    recipe: Recipe = "",
) -> None:
    """Pretrain one network on the mixture of all pretraining tables.

    Example: `ofa train pretrain --init models/stem --out models/pretrain`
    """
    from components.train.pretrain import pretrain

    _report(pretrain(tables, out, work, init, _file(recipe, params)), out, work)


@app.command()
def finetune(
    name: Annotated[str, typer.Argument(help="Key of the section `finetune`; a recipe has one.")] = "",
    tables: Tables = "data/tables",
    init: Annotated[str, typer.Option(help="Network to start from: a folder, or a .pt file.")] = "models/pretrain",
    out: Annotated[str, typer.Option(help="Folder for the trained network; by default models/NAME.")] = "",
    work: Annotated[str, typer.Option(help="Folder for checkpoints and curves; by default runs/NAME.")] = "",
    params: Params = "params.yaml",
    recipe: Recipe = "",
) -> None:
    """Finetune a network for one task.

    Example: `ofa train finetune caption --init models/pretrain`

    With a recipe: `ofa train finetune --recipe caption_base_stage1 --init ofa_base.pt`
    """
    from components.train.finetune import finetune
    from components.train.settings import only_task

    params = _file(recipe, params)
    name = name or only_task(params)
    out, work = out or f"models/{recipe or name}", work or f"runs/{recipe or name}"
    _report(finetune(name, tables, init, out, work, params), out, work)


@app.command()
def job(
    command: Annotated[list[str], typer.Argument(help="What `ofa train` runs on every node, after `--`.")],
    name: Annotated[str, typer.Option(help="Of the TrainJob; called again with it, this goes on with the job.")],
    nodes: Annotated[int, typer.Option(help="How many.")] = 1,
    gpus: Annotated[int, typer.Option(help="GPUs of each node.")] = 1,
    cpus: Annotated[int, typer.Option(help="Processors of each node.")] = 8,
    memory: Annotated[str, typer.Option(help="Memory of each node.")] = "32Gi",
    image: Annotated[str, typer.Option(help="Image of the group train; by default the runtime's.")] = "",
    queue: Annotated[str, typer.Option(help="Kueue's queue; empty: none.")] = "",
    hours: Annotated[float, typer.Option(help="The cluster stops it after that long.")] = 24.0,
    runtime: Annotated[str, typer.Option(help="TrainingRuntime or ClusterTrainingRuntime.")] = "ofa-torch",
    registry: Annotated[str, typer.Option(help="MLflow tracking address.")] = "http://mlflow.ofa.svc:5000",
) -> None:
    """Train on many nodes of a cluster: a TrainJob of Kubeflow Trainer, followed to its end.

    Paths are those on the nodes; the volumes that they share are /training/data and /training/checkpoints.

    Example: `ofa train job --name big -- pretrain --tables /training/data/tables --out /training/data/net`
    """
    from components.train.trainjob import Job, train

    train(
        Job(
            name=name,
            image=image,
            arguments=command,
            nodes=nodes,
            resources={"cpu": cpus, "memory": memory} | ({"gpu": gpus} if gpus else {}),
            env={"MLFLOW_TRACKING_URI": registry},
            queue=queue,
            hours=hours,
            runtime=runtime,
        )
    )


def _file(recipe: str, params: str) -> str:
    from components.params import profile_file

    return str(profile_file(recipe)) if recipe else params


def _report(result, out: str, work: str) -> None:
    """One line, and a file for who started this from elsewhere; by the main process of several, which part here."""
    import dataclasses
    import json

    from components.train.step import RESULT
    from ofa.files import atomic_write
    from ofa.train.distributed import World

    World.disconnect()
    if os.environ.get("RANK", "0") != "0":
        return
    with atomic_write(Path(work) / RESULT) as file:
        json.dump(dataclasses.asdict(result), file)
    measured = "".join(f", {name} {value:.4g}" for name, value in result.metrics.items())
    skipped = f", {result.skipped} skipped" if result.skipped else ""
    typer.echo(f"{out}: {result.steps} steps{skipped}{measured}")


if __name__ == "__main__":
    app()
