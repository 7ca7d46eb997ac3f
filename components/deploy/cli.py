"""`ofa gate`, `bundle`, `promote`, `rollback`, `serve`, `deploy`: from evaluations to the champion, and to users."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from components.cli import Commands
from ofa.errors import OFAError

app = Commands("deploy", "Release: decide, bundle, promote, roll back.")

REGISTRY = "sqlite:///mlflow.db"

Evaluations = Annotated[str, typer.Option(help="Folder with an evaluation folder a task.")]
Store = Annotated[str, typer.Option(help="MLflow tracking address of the model registry.")]
Name = Annotated[str, typer.Option(help="Name of the registered model.")]


@app.command()
def gate(
    evaluations: Evaluations = "evaluations/test",
    out: Annotated[str, typer.Option(help="The decision as JSON; Markdown goes beside it.")] = "reports/gate.json",
    params: Annotated[str, typer.Option(help="File with the policy in its section `gate`.")] = "params.yaml",
    champion: Annotated[
        str, typer.Option(help="Folder or address of the champion's evaluations, instead of the registry's.")
    ] = "",
    registry: Store = REGISTRY,
    name: Name = "ofa",
    no_fail: Annotated[
        bool, typer.Option("--no-fail", help="Exit with 0 whatever was decided; the next step reads the decision.")
    ] = False,
) -> None:
    """Decide whether the evaluated model may replace the champion.

    Exit code 0: promote. 1: reject. 2: could not decide.

    Example: `ofa gate --evaluations evaluations/test --out reports/gate.json`
    """
    from components.deploy.gate import gate

    with open_on_error(Exception):  # 1 would say that it was decided
        decision = gate(evaluations, out, params, champion, registry, name)
    for finding in decision.findings:
        mark = {True: "pass", False: "FAIL", None: "?"}[finding.passed]
        typer.echo(f"{mark:>4}  {finding.task:<10} {finding.rule:<16} {finding.why}")
    typer.echo(f"{decision.decision}: {decision.reason}")
    raise typer.Exit(0 if no_fail else decision.exit_code)


@app.command()
def bundle(
    evaluations: Evaluations = "evaluations/test",
    out: Annotated[str, typer.Option(help="Folder to make.")] = "models/release",
    checkpoint: Annotated[
        list[str] | None, typer.Option(help="Where a checkpoint is now, if not where it was evaluated; repeatable.")
    ] = None,
) -> None:
    """Collect the evaluated checkpoints and their evaluations in one folder: the release.

    Example: `ofa bundle --evaluations evaluations/test --out models/release`
    """
    from components.deploy.bundle import bundle

    content = bundle(evaluations, out, checkpoint or ())
    for task, member in content.tasks.items():
        typer.echo(f"{task:<10} {member.metric} {member.score:.4f}  checkpoint {member.checkpoint_sha256[:12]}")
    typer.echo(out)


@app.command()
def promote(
    bundle: Annotated[str, typer.Argument(help="Folder that `ofa bundle` made.")] = "models/release",
    decision: Annotated[str, typer.Option(help="The gate's decision.")] = "reports/gate.json",
    registry: Store = REGISTRY,
    name: Name = "ofa",
    attach: Annotated[list[str] | None, typer.Option(help="File to keep with the version; repeatable.")] = None,
    out: Annotated[str, typer.Option(help="File for what was done, as JSON; empty for none.")] = "",
    pipeline_run: Annotated[str, typer.Option(help="Id of the pipeline run, kept as a tag.")] = "",
) -> None:
    """Register a release, and make it the champion if the gate let it pass.

    Where another version became the champion since the gate decided, it decides again. Exit code 2: it could not, or
    the registry does not answer; the same command goes on later.

    Example: `ofa promote models/release --decision reports/gate.json --attach reports/report.html`
    """
    from components.deploy.promote import promote
    from components.deploy.registry import RegistryDown
    from components.deploy.succession import ChampionMoved

    with open_on_error(ChampionMoved, RegistryDown):
        done = promote(bundle, decision, registry, name, attach or (), pipeline_run, out or None)
    before = f", before it was version {done.previous}" if done.previous else ""
    state = f"the champion{before}" if done.promoted else "registered, not promoted"
    typer.echo(f"version {done.version} is {state}: {done.reason}")


@app.command()
def rollback(registry: Store = REGISTRY, name: Name = "ofa") -> None:
    """Make the previous champion the champion again. A second rollback takes the first back.

    Example: `ofa rollback`
    """
    from components.deploy.promote import rollback
    from components.deploy.registry import RegistryDown
    from components.deploy.succession import ChampionMoved

    with open_on_error(ChampionMoved, RegistryDown):
        before, now = rollback(registry, name)
    typer.echo(f"version {now} is the champion again, version {before} is kept as previous")


@app.command()
def serve(
    model: Annotated[
        str, typer.Argument(help="models:/NAME@ALIAS, a release, a checkpoint folder, or a .pt file.")
    ] = "models:/ofa@champion",
    host: Annotated[str, typer.Option(help="Address to listen at; 0.0.0.0 for every network.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen at.")] = 8000,
    registry: Store = REGISTRY,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    api_key_file: Annotated[str, typer.Option(help="File with the key that requests must carry.")] = "",
    params: Annotated[str, typer.Option(help="File whose section `serve`, if it has one, sets the rest.")] = "",
) -> None:
    """Serve a model: web page, JSON API with docs at /docs, KServe protocols, Prometheus metrics.

    Example: `ofa serve models/release --port 8000`
    """
    from components.deploy.service.server import serve
    from components.deploy.service.settings import ServiceSettings
    from components.params import load_params
    from ofa.settings import build

    values = load_params(params).get("serve") or {} if params else {}
    given = {"model": model, "host": host, "port": port, "registry": registry, "device": device}
    given |= {"api_key_file": api_key_file} if api_key_file else {}
    serve(build(ServiceSettings, {**values, **given}, f"{params}: serve" if params else "ofa serve"))


@app.command()
def deploy(
    manifests: Annotated[
        str, typer.Argument(help="Folder for kustomize, or a file of rendered objects.")
    ] = "k8s/overlays/production",
    version: Annotated[str, typer.Option(help="Version of the registered model; by default the champion.")] = "",
    service: Annotated[str, typer.Option(help="Where it will answer, for a smoke request; empty: none.")] = "",
    image: Annotated[str, typer.Option(help="Image of the service, instead of the manifests'.")] = "",
    registry: Store = REGISTRY,
    name: Name = "ofa",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would change, change nothing.")] = False,
    timeout: Annotated[float, typer.Option(help="Seconds to become ready.")] = 900.0,
    api_key_file: Annotated[str, typer.Option(help="File with the key that the service asks for.")] = "",
) -> None:
    """Let a cluster serve the promoted version: apply, wait until ready, ask it something; put back what fails.

    Example: `ofa deploy k8s/overlays/production --registry http://mlflow:5000 --dry-run`
    """
    from components.deploy.deployment import deploy
    from components.deploy.service.server import read_key

    key = read_key(api_key_file) if api_key_file else ""
    done = deploy(
        manifests, registry, version, service, image=image, name=name, dry_run=dry_run, timeout=timeout, key=key,
        say=typer.echo,
    )  # fmt: skip
    if dry_run:
        typer.echo(done.diff or f"nothing changes: version {done.version} is what the cluster has", nl=not done.diff)


@contextmanager
def open_on_error(*errors: type[Exception]) -> Iterator[None]:
    """Exit with the code for "could not decide" after these errors; defects of the program show their traceback."""
    from components.deploy.decision import EXIT_CODES, UNDECIDED

    try:
        yield
    except errors as error:
        if isinstance(error, OFAError):
            typer.echo(f"error: {' '.join(str(error).split())}", err=True)
        else:
            traceback.print_exc()
        raise typer.Exit(EXIT_CODES[UNDECIDED]) from None
