"""The pipeline from raw data to a pretrained network, which finetuning starts from."""

from kfp import dsl

from components.evaluate.kfp import write_report
from pipelines.chains import Training, closing, data_tables, evaluation, pretraining
from pipelines.placement import LIFE, Machines, place


@dsl.pipeline(
    name="ofa-pretrain",
    description="From raw data to a network pretrained on all tasks together, with its scores before finetuning.",
    pipeline_config=LIFE,
)
def pretrain(
    fetch: dict,
    validate: dict,
    tables: dict,
    model: dict,
    train: dict,
    stem: dict,
    pretrain: dict,
    evaluate: dict,
    tasks: list,
    shards: list,
    node_selector: dict,
    tolerations: list,
    nodes: int,
    gpus: int,
    queue: str,
    hours: float,
    registry: str,
):
    """Pretrain.

    Args:
        fetch: Where the data come from; section of params.yaml, as the following are.
        validate: When data are good enough.
        tables: What goes into the tables.
        model: The network.
        train: What all trainings share.
        stem: Pretraining of the encoder on boxes and the texts that mean them.
        pretrain: Pretraining on all tasks together.
        evaluate: Evaluation.
        tasks: What the network is asked for afterwards, all at the same time.
        shards: Numbers of the pods that build tables side by side, from 0.
        node_selector: Labels that nodes for training and evaluation must have.
        tolerations: Taints of such nodes that training and evaluation accept.
        nodes: Nodes of each training, as a TrainJob; 0: the step trains itself, as on one machine.
        gpus: GPUs of each of these nodes.
        queue: Kueue's queue that a training waits in until all its nodes can start; empty for none.
        hours: A training is stopped after that long; time in the queue does not count.
        registry: MLflow tracking address: curves.
    """
    machines = Machines(node_selector, tolerations)
    training = Training(machines, nodes, gpus, queue, hours)
    with closing("ofa-pretrain", registry, training):
        built = data_tables(fetch, validate, tables, shards)
        made = pretraining(built, model, train, stem, pretrain, registry, training)
        with dsl.ParallelFor(tasks, name="tasks") as task:
            evaluated = evaluation(task, made.network, built, evaluate, machines)
        evaluations = dsl.Collected(evaluated.outputs["evaluation"])
        place(
            write_report(
                evaluations=evaluations, tables=built, stem=made.stem_run, pretrain=made.run, title="OFA pretraining"
            )
        )
