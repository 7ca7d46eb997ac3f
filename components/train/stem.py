"""The stem step: the encoder alone, cell by cell, in place of ImageNet weights and millions of pictures."""

from components.params import section
from components.tables import open_table
from components.train.network import first_network
from components.train.run import deliver, origin_of, running
from components.train.settings import ModelSettings, StemSection, train_config
from ofa.tasks.detection import Detection
from ofa.tasks.refcoco import Refcoco, RefcocoSettings
from ofa.train.loop import TrainResult
from ofa.train.stem import StemTables, pretrain_stem


def stem(
    tables: str = "data/tables", out: str = "models/stem", work: str = "runs/stem", params: str = "params.yaml"
) -> TrainResult:
    """Pretrain the encoder of a network on the tables of detection and visual grounding.

    Args:
        tables: folder of tables, as `ofa data build` makes it.
        out: folder for the network.
        work: folder for checkpoints and curves; a run that was interrupted there goes on.
        params: file with the sections `model`, `train`, `stem` and `pretrain`.

    Raises:
        OFAError: a table or a setting cannot be used.
        Preempted: stopped on request; started again, it goes on.
    """
    settings = section(params, "stem", StemSection)
    config = train_config(params, settings, "stem")
    net = first_network(tables, params)
    grounding = {language: Refcoco(RefcocoSettings(language=language)) for language in settings.languages}
    opened, valid = (
        StemTables(
            objects=open_table(tables, Detection(), split),
            regions={language: open_table(tables, task, split) for language, task in grounding.items()},
        )
        for split in ("train", "val")
    )
    logged = {"model": section(params, "model", ModelSettings), "stem": settings}
    read = {"objects": opened.objects, **opened.regions}
    with running("stem", config, work, logged, read, "stem") as common:
        result = pretrain_stem(
            net,
            opened,
            config,
            work,
            image_size=settings.patch_image_size,
            regions=settings.regions,
            block=settings.block,
            valid=valid,
            workers=settings.workers,
            max_bad_rows=settings.max_bad_rows,
            **common,
        )
    card = {"Training": {"stage": "stem", "steps": result.steps}, "Validation": result.metrics}
    deliver(net, out, {}, card, origin_of("stem", config, **logged))
    return result
