"""`ofa pipeline`: the whole way from data to release as a Kubeflow pipeline."""

from typing import Annotated, Any

import typer

from components.cli import Commands

app = Commands(
    "pipeline",
    "Pipelines: compile them for a cluster, run them here.\n\nExample: `ofa pipeline run --profile smoke`",
)

Params = Annotated[str, typer.Option(help="File with the settings.")]
Profile = Annotated[str, typer.Option(help="Profile of params/ whose values go before those of the file.")]


@app.command("compile")
def compile_(
    out: Annotated[str, typer.Option(help="YAML file to write.")] = "finetune.yaml",
    params: Params = "params.yaml",
    profile: Profile = "",
) -> None:
    """Write the pipeline as the YAML that Kubeflow Pipelines takes; the same source gives the same bytes.

    Example: `ofa pipeline compile --out finetune.yaml`
    """
    from pipelines.compile import compile_pipeline

    compile_pipeline(_settings(params, profile), out)
    typer.echo(out)


@app.command()
def run(
    runner: Annotated[str, typer.Option(help="subprocess, or docker: every step in a container.")] = "subprocess",
    out: Annotated[str, typer.Option(help="Folder for what the steps make.")] = "runs/pipeline",
    registry: Annotated[str, typer.Option(help="MLflow tracking address; by default a database in --out.")] = "",
    params: Params = "params.yaml",
    profile: Profile = "",
) -> None:
    """Run the pipeline on this machine, with the components and the order that a cluster runs.

    Example: `ofa pipeline run --profile smoke --out runs/smoke`
    """
    from pipelines.run import run

    finished = run(_settings(params, profile), runner, out, registry)
    typer.echo(f"gate: {finished.decision}")
    typer.echo(f"report: {finished.report}")
    typer.echo(f"registry: {finished.registry}")


def _settings(params: str, profile: str) -> dict[str, Any]:
    """The content of the params file, with the values of a profile."""
    from components.params import load_params, profile_file
    from ofa.settings import load_yaml
    from pipelines.commands.profile import overlay

    settings = load_params(params)
    if profile:
        path = profile_file(profile)
        overlay(settings, load_yaml(path), where=str(path))
    return settings
