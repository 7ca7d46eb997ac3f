"""The stem step: the encoder alone, on boxes, in place of ImageNet weights."""

import torch

from components.tables import open_table
from components.train.run import deliver, running
from components.train.settings import ModelSettings, StemSection, train_config
from ofa.model import OFAConfig, OFAModel
from ofa.settings import section
from ofa.tasks.detection import Detection
from ofa.train.loop import TrainResult
from ofa.train.stem import pretrain_stem


def stem(
    tables: str = "data/tables", out: str = "models/stem", work: str = "runs/stem", params: str = "params.yaml"
) -> TrainResult:
    """Pretrain the encoder of a network on the detection table.

    Args:
        tables: folder of tables, as `ofa data build` makes it.
        out: folder for the network.
        work: folder for checkpoints and curves; a run that was interrupted there goes on.
        params: file with the sections `model`, `train` and `stem`.

    Raises:
        OFAError: a table or a setting cannot be used.
        Preempted: stopped on request; started again, it goes on.
    """
    model = section(params, "model", ModelSettings)
    settings = section(params, "stem", StemSection)
    config = train_config(params, settings.train, "stem")
    with torch.random.fork_rng():
        torch.manual_seed(model.seed)
        net = OFAModel(OFAConfig.preset(model.size, **model.overrides))
    table = open_table(tables, Detection, "train")
    with running("stem", config, work, {"model": model, "stem": settings}, {"detection": table}) as common:
        result = pretrain_stem(
            net,
            table,
            config,
            work,
            image_size=settings.patch_image_size,
            valid_table=open_table(tables, Detection, "val"),
            workers=settings.workers,
            **common,
        )
    deliver(net, out, {}, {"Training": {"stage": "stem", "steps": result.steps}, "Validation": result.metrics})
    return result
