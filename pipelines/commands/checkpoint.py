"""`ofa checkpoint`: look at networks on disk, compare them, and convert between formats."""

from typing import Annotated

import typer

from components.cli import Commands

app = Commands("checkpoint", "Checkpoints: inspect, compare and convert them.")

Path = Annotated[str, typer.Argument(help="A checkpoint folder of ours, or a .pt file of the original.")]


@app.command()
def inspect(path: Path) -> None:
    """Show what a checkpoint holds: configuration, size, tasks.

    Example: `ofa checkpoint inspect models/caption`
    """
    from ofa.checkpoint import read
    from ofa.tasks.store import saved_settings

    config, state = read(path)
    typer.echo(f"{path}: {sum(tensor.numel() for tensor in state.values()):,} numbers in {len(state)} tensors")
    for name, value in config.to_dict().items():
        shown = f"{len(value)} ids" if name == "output_ids" and value is not None else value
        typer.echo(f"  {name}: {shown}")
    for task, settings in saved_settings(path).items():
        typer.echo(f"  task {task}: " + ", ".join(f"{key} {value}" for key, value in settings.items()))


@app.command()
def diff(first: Path, second: Path) -> None:
    """Show how two checkpoints differ: fields of the configuration, and tensors by their largest difference.

    Exits with code 1 when they differ. Example: `ofa checkpoint diff models/pretrain models/caption`
    """
    from ofa.checkpoint import read

    (config, state), (other_config, other_state) = read(first), read(second)
    differences = 0
    values, other_values = config.to_dict(), other_config.to_dict()
    for name, value in values.items():
        if value != other_values[name]:
            differences += 1
            typer.echo(f"{name}: {_shown(value)} | {_shown(other_values[name])}")
    for name in sorted(state.keys() | other_state.keys()):
        ours, theirs = state.get(name), other_state.get(name)
        if ours is None or theirs is None:
            found = f"only in {first if theirs is None else second}"
        elif ours.shape != theirs.shape:
            found = f"{tuple(ours.shape)} | {tuple(theirs.shape)}"
        else:
            largest = (ours.double() - theirs.double()).abs().max().item() if ours.numel() else 0.0
            found = f"differs by at most {largest:.3g}" if largest else ""
        if found:
            differences += 1
            typer.echo(f"{name}: {found}")
    typer.echo(f"{differences} differences" if differences else "no difference")
    raise typer.Exit(1 if differences else 0)


@app.command()
def convert(
    path: Path,
    out: Annotated[str, typer.Argument(help="A folder for our format, or a name ending in .pt for the original's.")],
) -> None:
    """Convert a checkpoint between our folder format and the original's files.

    Example: `ofa checkpoint convert ofa_base.pt models/ofa_base`
    """
    from ofa.checkpoint import read, save_fairseq, save_folder

    config, state = read(path)
    if out.endswith(".pt"):
        save_fairseq(out, config, state)
    else:
        save_folder(out, (config, state))
    typer.echo(f"{path} -> {out}")


def _shown(value: object) -> object:
    return f"{len(value)} values" if isinstance(value, list) and len(value) > 8 else value
