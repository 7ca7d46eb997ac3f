"""The VQ-GAN step: the network between pictures and image codes, where the original's is not at hand."""

from pathlib import Path

from components.folders import make_staging, replace_folder
from components.params import section
from components.tables import table_files
from components.train.run import running
from components.train.settings import VqganSection, train_config
from ofa.checkpoint.vqgan import save_vqgan
from ofa.data import TABLES, Table
from ofa.model.vqgan import VQGAN, VQGANConfig
from ofa.train.loop import TrainResult
from ofa.train.vqgan import initialize, train_vqgan


def vqgan(
    tables: str = "data/tables", out: str = "models/vqgan", work: str = "runs/vqgan", params: str = "params.yaml"
) -> TrainResult:
    """Train a VQ-GAN on the pictures of a table.

    Args:
        tables: folder of tables, as `ofa data build` makes it.
        out: folder for the network.
        work: folder for checkpoints and curves; a run that was interrupted there goes on.
        params: file with the sections `train` and `vqgan`.

    Raises:
        OFAError: a table or a setting cannot be used.
        Preempted: stopped on request; started again, it goes on.
    """
    settings = section(params, "vqgan", VqganSection)
    config = train_config(params, settings, "vqgan")
    net = VQGAN(VQGANConfig.preset(settings.size, **settings.overrides))
    initialize(net, settings.seed)
    table, valid = (
        Table(table_files(tables, [settings.table], split), TABLES[settings.table]) for split in ("train", "val")
    )
    with running("vqgan", config, work, {"vqgan": settings}, {settings.table: table}, "vqgan") as common:
        result = train_vqgan(
            net,
            table,
            settings.coding,
            config,
            work,
            valid=valid,
            valid_rows=settings.validation_rows,
            workers=settings.workers,
            max_bad_rows=settings.max_bad_rows,
            **common,
        )
        if common["world"].is_main:
            staging = make_staging(Path(out))
            save_vqgan(staging, net)
            replace_folder(staging, Path(out))
    return result
