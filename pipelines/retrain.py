"""The scheduled pipeline: where the data are new, the champion learns from them, and is replaced if that is better."""

from kfp import dsl

from components.deploy.kfp import get_champion, look_for_news, promote_release, roll_out_champion
from components.preprocess.kfp import find_version
from components.train.kfp import finetune_network
from pipelines.chains import Training, bundle, closing, data_tables, evaluation, judgement, picked
from pipelines.placement import LIFE, Machines, fresh, place, place_training


@dsl.pipeline(
    name="ofa-retrain",
    description="New data? Then train on from the champion, evaluate, judge, promote and roll out. Else end at once.",
    pipeline_config=LIFE,
)
def retrain(
    fetch: dict,
    validate: dict,
    tables: dict,
    train: dict,
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
    """Retrain.

    Args:
        fetch: Where the data come from; section of params.yaml, as the following are.
        validate: When data are good enough.
        tables: What goes into the tables.
        train: What all trainings share.
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
    with closing("ofa-retrain", registry, training):
        version = place(fresh(find_version(settings=fetch)))
        news = place(fresh(look_for_news(version=version.output, registry=registry)))
        with dsl.If(news.output == "new", name="new-data"):
            built = data_tables(fetch, validate, tables, shards)
            champion = place(fresh(get_champion(registry=registry))).outputs["release"]
            with dsl.ParallelFor(tasks, name="tasks") as task:
                tuned = finetune_network(
                    name=task,
                    tables=built,
                    pretrained=picked(champion, task),
                    train=train,
                    finetune=finetune,
                    registry=registry,
                    **training.job,
                )
                place_training(tuned, training.machines)
                evaluated = evaluation(task, tuned.outputs["network"], built, evaluate, machines)
            evaluations = evaluated.outputs["evaluation"]
            judged = judgement(evaluations, built, gate, registry, finetune=dsl.Collected(tuned.outputs["run"]))
            # Registered whatever the gate says: the next run sees that these data were tried.
            promoted = promote_release(
                release=bundle(evaluations, tuned.outputs["network"]),
                decision=judged.document,
                report=judged.page,
                tables=built,
                registry=registry,
                pipeline_run=dsl.PIPELINE_JOB_ID_PLACEHOLDER,
            )
            place(fresh(promoted))
            with dsl.If(judged.decision == "promote", name="promoted"):
                with dsl.If(service != "", name="roll-out"):
                    place(
                        fresh(roll_out_champion(version=promoted.outputs["Output"], service=service, registry=registry))
                    )
