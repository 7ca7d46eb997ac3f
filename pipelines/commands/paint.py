"""`ofa paint`: pictures of texts."""

from pathlib import Path
from typing import Annotated

import typer

from ofa.errors import OFAError


def paint(
    texts: Annotated[list[str], typer.Argument(help="What the pictures show, one text a picture.")],
    checkpoint: Annotated[str, typer.Option(help="Network: a folder, or a .pt file.")] = "models/image_gen",
    vqgan: Annotated[str, typer.Option(help="VQ-GAN of the network's codes; by default the one in its folder.")] = "",
    out: Annotated[str, typer.Option(help="Folder for 1.png, 2.png ...; or, for one text, a .png file.")] = "paintings",
    samples: Annotated[int, typer.Option(help="Pictures drawn for each text; the best is kept.")] = 24,
    judge: Annotated[str, typer.Option(help="Network that captions, to choose the best; else the likeliest.")] = "",
    seed: Annotated[int, typer.Option(help="Another one draws other pictures.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda:0 ...")] = "auto",
) -> None:
    """Paint a picture of each text. See docs/painting.md for networks that can.

    Example: `ofa paint "an apple on a yellow background." --judge models/caption --out apple.png`
    """
    from ofa import OFA

    single = out.endswith(".png")
    if single and len(texts) > 1:
        raise OFAError(f"{out}: one file for {len(texts)} texts; name a folder with --out")
    if samples < 1:
        raise OFAError(f"--samples must be at least 1, got {samples}")
    scorer = OFA.from_pretrained(judge, device).caption_scores if judge else None
    model = OFA.from_pretrained(checkpoint, device, vqgan)
    for number, text in enumerate(texts, start=1):
        path = Path(out) if single else Path(out) / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        model.paint(text, samples, scorer, seed)[0].save(path)
        typer.echo(f"{path}: {text}")
