"""The pipeline from raw data to a promoted release: one network is pretrained, then finetuned for each task.

The steps, their order and their settings are those of `dvc.yaml` and `params.yaml`. This module holds no settings of
its own; `pipelines.arguments` makes the arguments.
"""

from kfp import dsl

from components.deploy.kfp import promote_release, roll_out_champion
from components.train.kfp import finetune_network
from pipelines.chains import Training, bundle, closing, data_tables, evaluation, judgement, pretraining
from pipelines.placement import LIFE, Machines, fresh, place, place_training


@dsl.pipeline(
    name="ofa-finetune",
    description="From raw data to a promoted release: data, pretraining, finetuning for each task, evaluation, gate.",
    pipeline_config=LIFE,
)
def finetune(
    fetch: dict,
    validate: dict,
    tables: dict,
    model: dict,
    train: dict,
    stem: dict,
    pretrain: dict,
    finetune: dict,
    evaluate: dict,
    gate: dict,
    tasks: list,
    shards: list,
    node_selector: dict,
    tolerations: list,
    nodes: int,
    gpus: int,
    queue: str,
    hours: float,
    service: str,
    registry: str,
):
    """Train, judge and release.

    Args:
        fetch: Where the data come from; section of params.yaml, as the following are.
        validate: When data are good enough.
        tables: What goes into the tables.
        model: The network.
        train: What all trainings share.
        stem: Pretraining of the encoder on boxes and the texts that mean them.
        pretrain: Pretraining on all tasks together.
        finetune: Finetuning, by task.
        evaluate: Evaluation.
        gate: What a release must show before it replaces the champion.
        tasks: Keys of `finetune` to train and release.
        shards: Numbers of the pods that build tables side by side, from 0.
        node_selector: Labels that nodes for training and evaluation must have.
        tolerations: Taints of such nodes that training and evaluation accept.
        nodes: Nodes of each training, as a TrainJob; 0: the step trains itself, as on one machine.
        gpus: GPUs of each of these nodes.
        queue: Kueue's queue that a training waits in until all its nodes can start; empty for none.
        hours: A training is stopped after that long; time in the queue does not count.
        service: Address of the service that a new champion is rolled out to; empty for none.
        registry: MLflow tracking address: curves, the model registry.
    """
    machines = Machines(node_selector, tolerations)
    training = Training(machines, nodes, gpus, queue, hours)
    with closing("ofa-finetune", registry, training):
        built = data_tables(fetch, validate, tables, shards)
        start = pretraining(built, model, train, stem, pretrain, registry, training)
        with dsl.ParallelFor(tasks, name="tasks") as task:
            tuned = finetune_network(
                name=task,
                tables=built,
                pretrained=start.network,
                train=train,
                finetune=finetune,
                registry=registry,
                **training.job,
            )
            place_training(tuned, training.machines)
            evaluated = evaluation(task, tuned.outputs["network"], built, evaluate, machines)
        evaluations = evaluated.outputs["evaluation"]
        judged = judgement(
            evaluations,
            built,
            gate,
            registry,
            stem=start.stem_run,
            pretrain=start.run,
            finetune=dsl.Collected(tuned.outputs["run"]),
        )
        release = bundle(evaluations, tuned.outputs["network"])
        with dsl.If(judged.decision == "promote", name="promote"):
            promoted = promote_release(
                release=release,
                decision=judged.document,
                report=judged.page,
                tables=built,
                registry=registry,
                pipeline_run=dsl.PIPELINE_JOB_ID_PLACEHOLDER,
            )
            place(fresh(promoted))
            with dsl.If(service != "", name="roll-out"):
                place(fresh(roll_out_champion(version=promoted.outputs["Output"], service=service, registry=registry)))
