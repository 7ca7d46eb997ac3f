"""Draw curves.png: the loss of every training stage of the built-in recipe.

After `make repro`: python docs/images/curves.py
"""

import csv
import sys
from pathlib import Path

from matplotlib.figure import Figure

STAGES = {
    "stem": "region_acc@0.5",
    "pretrain": "",
    "caption": "CIDEr",
    "refcoco": "acc@0.5",
    "vqa": "accuracy",
    "region_caption": "CIDEr",
}
"""And what validation measures at their end."""


def main(runs: str = "runs") -> None:
    figure = Figure(figsize=(13, 2.9), layout="constrained")
    for axes, stage in zip(figure.subplots(1, len(STAGES)), STAGES, strict=True):
        rows = _rows(Path(runs) / stage / "history.csv")
        axes.plot([int(row["step"]) for row in rows], [float(row["loss"]) for row in rows], color="#1f77b4")
        measured = _rows(Path(runs) / stage / "validation.csv")
        metric = STAGES[stage]
        found = f"validation: {metric} {float(measured[-1][metric]):.2f}" if measured else ""
        axes.set_title(f"{stage}\n{found}", fontsize=10)
        axes.set_xlabel("step", fontsize=9)
        axes.set_ylim(bottom=0)
        axes.tick_params(labelsize=8)
        axes.grid(alpha=0.3)
    figure.axes[0].set_ylabel("training loss", fontsize=9)
    figure.savefig(Path(__file__).with_name("curves.png"), dpi=90)


def _rows(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


if __name__ == "__main__":
    main(*sys.argv[1:])
