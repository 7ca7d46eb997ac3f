"""`ofa pipeline`: the pipelines of Kubeflow Pipelines, here or on a cluster."""

from pathlib import Path
from typing import Annotated, Any

import typer

from components.cli import Commands

app = Commands(
    "pipeline",
    "Pipelines: pretrain, finetune, evaluate-gate, retrain. Compile them, run them here, run or schedule them on a "
    "cluster.\n\nExample: `ofa pipeline run finetune --profile smoke`",
)

Name = Annotated[str, typer.Argument(help="pretrain, finetune, evaluate-gate or retrain.")]
Given = Annotated[
    list[str] | None,
    typer.Argument(help="KEY=VALUE: parameters of the pipeline, before those of the params file; model.size=base."),
]
Params = Annotated[str, typer.Option(help="File with the settings.")]
Profile = Annotated[str, typer.Option(help="Profile of params/ whose values go before those of the file.")]
Store = Annotated[str, typer.Option(help="MLflow tracking address.")]
Host = Annotated[str, typer.Option(help="Address of Kubeflow Pipelines.")]
Namespace = Annotated[str, typer.Option(help="Namespace of the runs, where the installation has several users.")]
Images = Annotated[
    str, typer.Option(help="Where the cluster pulls the images: registry.example.com/team. By default cluster.images.")
]

HOST = "http://localhost:8080"


@app.command("compile")
def compile_(
    name: Name = "finetune",
    given: Given = None,
    out: Annotated[str, typer.Option(help="YAML file to write; by default NAME.yaml.")] = "",
    images: Images = "",
    params: Params = "params.yaml",
    profile: Profile = "",
) -> None:
    """Write a pipeline as the YAML that Kubeflow Pipelines takes; the same source gives the same bytes.

    Example: `ofa pipeline compile finetune --out finetune.yaml`
    """
    from components.cli import key_values
    from pipelines.compile import compile_pipeline

    path = out or f"{name}.yaml"
    compile_pipeline(name, _settings(params, profile), path, key_values(given), images)
    typer.echo(path)


@app.command()
def run(
    name: Name = "finetune",
    given: Given = None,
    runner: Annotated[str, typer.Option(help="subprocess, or docker: every step in a container.")] = "subprocess",
    out: Annotated[str, typer.Option(help="Folder for what the steps make.")] = "runs/pipeline",
    registry: Annotated[str, typer.Option(help="MLflow tracking address; by default a database in --out.")] = "",
    params: Params = "params.yaml",
    profile: Profile = "",
) -> None:
    """Run a pipeline on this machine, with the components and the order that a cluster runs.

    Exit code 0: promote, or done where there is no gate. 1: reject. 2: could not decide, or a step failed.

    Example: `ofa pipeline run finetune --profile smoke --out runs/smoke`
    """
    from components.cli import key_values
    from components.deploy.cli import open_on_error
    from components.deploy.decision import EXIT_CODES
    from pipelines.run import run

    with open_on_error(Exception):  # 1 would say that it was decided
        finished = run(name, _settings(params, profile), runner, out, registry, key_values(given))
    for path in finished.evaluations:
        typer.echo(f"evaluation: {path}")
    for what in ("decision", "gate", "report", "end", "registry"):
        if value := getattr(finished, what):
            typer.echo(f"{what}: {value}")
    typer.echo(f"seconds: {finished.seconds:.0f}")
    raise typer.Exit(EXIT_CODES.get(finished.decision, 0))


@app.command()
def submit(
    name: Name = "finetune",
    given: Given = None,
    registry: Store = "http://mlflow.ofa.svc:5000",
    host: Host = HOST,
    namespace: Namespace = "",
    images: Images = "",
    params: Params = "params.yaml",
    profile: Profile = "",
) -> None:
    """Upload a pipeline to a cluster, unless this version is there, and start it.

    Example: `ofa pipeline submit finetune --host http://localhost:8080`
    """
    from components.cli import key_values
    from pipelines.remote import Remote

    remote = Remote(host, namespace)
    started = remote.submit(name, _settings(params, profile), {"registry": registry} | key_values(given), images)
    typer.echo(f"run: {started.id}")
    typer.echo(f"version: {started.version}")


@app.command()
def schedule(
    name: Name = "retrain",
    given: Given = None,
    cron: Annotated[str, typer.Option(help="Second, minute, hour, day, month, weekday.")] = "0 0 3 * * *",
    registry: Store = "http://mlflow.ofa.svc:5000",
    host: Host = HOST,
    namespace: Namespace = "",
    images: Images = "",
    params: Params = "params.yaml",
    profile: Profile = "",
) -> None:
    """Make the recurring run of a pipeline, or bring it up to date; there is one for each pipeline.

    Example: `ofa pipeline schedule retrain --cron "0 0 3 * * *"`
    """
    from components.cli import key_values
    from pipelines.remote import Remote

    values = {"registry": registry} | key_values(given)
    made = Remote(host, namespace).schedule(name, _settings(params, profile), values, cron, images)
    typer.echo(f"{made.change}: {made.id} ({cron})")


@app.command()
def status(
    run: Annotated[str, typer.Argument(help="Id of a run; without it, the last runs of all pipelines.")] = "",
    host: Host = HOST,
    namespace: Namespace = "",
) -> None:
    """Say how runs on a cluster stand, and which steps of a run failed.

    Example: `ofa pipeline status --host http://localhost:8080`
    """
    from pipelines.remote import Remote

    for line in Remote(host, namespace).status(run):
        typer.echo(line)


def _settings(params: str, profile: str) -> dict[str, Any]:
    """The content of the params file, with the values of a profile."""
    from components.params import load_params, profile_file
    from ofa.settings import load_yaml
    from pipelines.commands.profile import overlay

    settings = load_params(params)
    if profile:
        path: Path = profile_file(profile)
        overlay(settings, load_yaml(path), where=str(path))
    return settings
