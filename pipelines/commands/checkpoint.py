"""`ofa checkpoint`: look at networks on disk, compare them, and convert between formats."""

from typing import Annotated

import typer

from components.cli import Commands

app = Commands(
    "checkpoint",
    "Checkpoints: inspect, compare and convert them.\n\nExample: `ofa checkpoint inspect models/caption`",
)

Network = Annotated[str, typer.Argument(help="A folder of ours, a .pt file of the original, or a Hugging Face folder.")]


@app.command()
def inspect(path: Network) -> None:
    """Show what a checkpoint holds: format, size, configuration, tasks.

    Example: `ofa checkpoint inspect models/caption`
    """
    from ofa.checkpoint import inspect
    from ofa.tasks.store import saved_settings

    for name, value in (inspect(path) | {"tasks": saved_settings(path) or "none"}).items():
        if isinstance(value, dict):
            typer.echo(f"{name}")
            for key, item in value.items():
                typer.echo(f"  {key:28} {_short(item)}")
        else:
            typer.echo(f"{name:30} {value:,}" if isinstance(value, int) else f"{name:30} {value}")


@app.command()
def diff(first: Network, second: Network) -> None:
    """Show how two checkpoints differ: fields of the configuration, and tensors by their largest difference.

    Exits with code 1 when they differ. Example: `ofa checkpoint diff models/pretrain models/caption`
    """
    from ofa.checkpoint import diff

    found = diff(first, second)
    for difference in found:
        typer.echo(f"{difference.name:60} {_short(difference.detail)}")
    typer.echo(f"{len(found)} difference{'s' if len(found) > 1 else ''}" if found else "no difference")
    raise typer.Exit(1 if found else 0)


@app.command()
def convert(
    source: Network,
    target: Annotated[str, typer.Argument(help="File or folder to write.")],
    to: Annotated[str, typer.Option(help="Format: folder (ours), fairseq (the original's) or huggingface.")] = "folder",
    ema: Annotated[
        bool, typer.Option("--ema", help="Take the moving average of the weights, where there is one.")
    ] = False,
) -> None:
    """Convert a checkpoint between our folder format, the original's files and the Hugging Face port's layout.

    Example: `ofa checkpoint convert ofa_base.pt models/ofa_base`
    """
    from ofa.checkpoint import convert

    convert(source, target, to, ema)
    typer.echo(f"{source} -> {target}")


def _short(value: object, width: int = 100) -> str:
    text = str(value)
    return text if len(text) <= width else f"{text[:width]}..."
