"""The pretraining step: one network, all tasks."""

from components.params import section
from components.tables import open_table
from components.train.network import first_network, located_tasks
from components.train.run import deliver, fit, origin_of
from components.train.settings import ModelSettings, PretrainSection, train_config
from ofa.tasks.pretrain import known_tasks, make_tasks, sources
from ofa.train.loop import TrainResult


def pretrain(
    tables: str = "data/tables",
    out: str = "models/pretrain",
    work: str = "runs/pretrain",
    init: str = "",
    params: str = "params.yaml",
) -> TrainResult:
    """Pretrain a network on the mixture of the pretraining tables.

    Args:
        tables: folder of tables, as `ofa data build` makes it.
        out: folder for the network.
        work: folder for checkpoints and curves; a run that was interrupted there goes on.
        init: the network to start from, a folder of ours or a `.pt` file of the original; empty, or nothing there:
            random weights.
        params: file with the sections `model`, `train` and `pretrain`.

    Raises:
        OFAError: a table or a setting cannot be used.
        Preempted: stopped on request; started again, it goes on.
    """
    settings = section(params, "pretrain", PretrainSection)
    tasks = located_tasks(settings.tasks, tables)
    opened = {kind: open_table(tables, task, "train") for kind, task in make_tasks(settings.tables, tasks).items()}
    mixture = sources(opened, tasks)
    first = mixture[0]
    rows = len(first.table) * sum(source.weight for source in mixture) / first.weight
    config = train_config(params, settings, "pretrain", rows)
    net = first_network(tables, params, init)
    for source in mixture:
        source.task.check_vocabulary(net.config.vocabulary_size)
    logged = {"model": section(params, "model", ModelSettings), "pretrain": settings}
    origin = origin_of("pretrain", config, init, **logged)
    result = fit(
        "pretrain",
        net,
        mixture,
        config,
        work,
        logged | {"init": init},
        step="pretrain",
        workers=settings.workers,
        max_bad_rows=settings.max_bad_rows,
        pool=settings.pool,
    )
    card = {"Training": {"stage": "pretrain", "steps": result.steps}}
    deliver(net, out, known_tasks(settings.tables, tasks), card, origin)
    return result
