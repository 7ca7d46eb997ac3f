"""`ofa`: one program for every job of the project. Each group of commands lives beside the steps that it runs."""

import os

import typer

from components.cli import Commands, Guarded
from components.deploy import cli as deploy
from components.evaluate.cli import app as evaluate
from components.preprocess.cli import app as data
from components.train.cli import app as train
from pipelines.commands.check import check
from pipelines.commands.checkpoint import app as checkpoint
from pipelines.commands.code import code
from pipelines.commands.generate import generate
from pipelines.commands.paint import paint
from pipelines.commands.pipeline import app as pipeline
from pipelines.commands.profile import profile
from pipelines.commands.summary import summary

# Threads that wait for each other asleep instead of spinning: many times faster where a core is shared. The OpenMP
# library reads this once, when torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

MAP = (
    "data",
    "train",
    "evaluate",
    "generate",
    "paint",
    "gate",
    "bundle",
    "promote",
    "rollback",
    "serve",
    "deploy",
    "pipeline",
    "checkpoint",
    "summary",
    "profile",
    "check",
    "code",
)
"""The commands in the order in which `ofa --help` shows them: the way from data to a service, then the rest."""


class _Program(Guarded):
    def list_commands(self, ctx: typer.Context) -> list[str]:
        return list(MAP)


app = Commands(
    "ofa",
    "OFA: one model that captions, answers, points and more - from raw data to a served champion.\n\n"
    "`make repro` runs everything on the built-in data; `params.yaml` holds the settings; `docs/` tells more.\n\n"
    "Example: `ofa generate pictures/ --task caption --out captions.jsonl`",
    cls=_Program,
)

app.add_typer(data)
app.add_typer(train)
app.add_typer(evaluate)
app.add_typer(checkpoint)
app.add_typer(pipeline)
for command in (
    generate,
    paint,
    deploy.gate,
    deploy.bundle,
    deploy.promote,
    deploy.rollback,
    deploy.serve,
    deploy.deploy,
):
    app.command()(command)
for command in (summary, profile, check, code):
    app.command()(command)


if __name__ == "__main__":
    app()
