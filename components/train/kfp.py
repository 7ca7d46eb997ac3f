"""The training steps as KFP components: each calls the step of the same name from the package in its image.

Settings arrive as the sections of params.yaml that a step reads, each a parameter of its own: so a step is only run
again when a section of its own changed, and the page of a run shows what it was run with.
"""

from kfp import dsl

from components import images

PASSED = [
    dsl.TaskConfigField.RESOURCES,
    dsl.TaskConfigField.KUBERNETES_TOLERATIONS,
    dsl.TaskConfigField.KUBERNETES_NODE_SELECTOR,
    dsl.TaskConfigField.KUBERNETES_AFFINITY,
    dsl.TaskConfigPassthrough(field=dsl.TaskConfigField.ENV, apply_to_task=True),
    dsl.TaskConfigPassthrough(field=dsl.TaskConfigField.KUBERNETES_VOLUMES, apply_to_task=True),
]
"""What a step on a cluster hands on to the nodes that train; it waits for them itself, and takes no GPU."""


@dsl.component(base_image=images.TRAIN, install_kfp_package=False, task_config_passthroughs=PASSED)
def train_vqgan(
    tables: dsl.Input[dsl.Dataset],
    network: dsl.Output[dsl.Model],
    run: dsl.Output[dsl.Artifact],
    metrics: dsl.Output[dsl.Metrics],
    train: dict,
    vqgan: dict,
    registry: str,
    placed: dsl.TaskConfig,
    nodes: int = 0,
    gpus: int = 0,
    queue: str = "",
    hours: float = 24.0,
):
    """Train the network between pictures and image codes.

    Args:
        tables: Folder of tables.
        train: The section `train` of params.yaml, which all trainings share.
        vqgan: The section `vqgan`.
        registry: MLflow tracking address that the curves are logged to.
        placed: Filled in by Kubeflow Pipelines: what each node is given.
        nodes: Nodes that train, as a TrainJob; 0: this step trains itself.
        gpus: GPUs of each node that trains.
        queue: Kueue's queue that the nodes wait in until all can start; empty: none.
        hours: The cluster stops the training after that long.

    Returns:
        network: Folder of the VQ-GAN.
        run: Folder with the settings and the curves of the training.
        metrics: The last validation.
    """
    from components.train import step

    sections = {"train": train, "vqgan": vqgan}
    inputs = {"tables": tables}
    job = {"nodes": nodes, "gpus": gpus, "queue": queue, "hours": hours, "placed": placed}
    found = step.train("vqgan", inputs, network, run, sections, registry, **job)
    metrics.metadata.update(found)


@dsl.component(base_image=images.TRAIN, install_kfp_package=False, task_config_passthroughs=PASSED)
def train_stem(
    tables: dsl.Input[dsl.Dataset],
    network: dsl.Output[dsl.Model],
    run: dsl.Output[dsl.Artifact],
    metrics: dsl.Output[dsl.Metrics],
    model: dict,
    train: dict,
    stem: dict,
    pretrain: dict,
    registry: str,
    placed: dsl.TaskConfig,
    nodes: int = 0,
    gpus: int = 0,
    queue: str = "",
    hours: float = 24.0,
):
    """Pretrain the encoder on boxes and the texts that mean them, in place of ImageNet weights.

    Args:
        tables: Folder of tables.
        model: The section `model` of params.yaml.
        train: The section `train`, which all trainings share.
        stem: The section `stem`.
        pretrain: The section `pretrain`: the network gets the words of its tables.
        registry: MLflow tracking address that the curves are logged to.
        placed: Filled in by Kubeflow Pipelines: what each node is given.
        nodes: Nodes that train, as a TrainJob; 0: this step trains itself.
        gpus: GPUs of each node that trains.
        queue: Kueue's queue that the nodes wait in until all can start; empty: none.
        hours: The cluster stops the training after that long.

    Returns:
        network: Checkpoint folder.
        run: Folder with the settings and the curves of the training.
        metrics: The last validation.
    """
    from components.train import step

    sections = {"model": model, "train": train, "stem": stem, "pretrain": pretrain}
    inputs = {"tables": tables}
    job = {"nodes": nodes, "gpus": gpus, "queue": queue, "hours": hours, "placed": placed}
    found = step.train("stem", inputs, network, run, sections, registry, **job)
    metrics.metadata.update(found)


@dsl.component(base_image=images.TRAIN, install_kfp_package=False, task_config_passthroughs=PASSED)
def pretrain_network(
    tables: dsl.Input[dsl.Dataset],
    stem: dsl.Input[dsl.Model],
    network: dsl.Output[dsl.Model],
    run: dsl.Output[dsl.Artifact],
    metrics: dsl.Output[dsl.Metrics],
    model: dict,
    train: dict,
    pretrain: dict,
    registry: str,
    placed: dsl.TaskConfig,
    nodes: int = 0,
    gpus: int = 0,
    queue: str = "",
    hours: float = 24.0,
):
    """Pretrain one network on the mixture of all pretraining tables.

    Args:
        tables: Folder of tables.
        stem: Network to start from.
        model: The section `model` of params.yaml.
        train: The section `train`, which all trainings share.
        pretrain: The section `pretrain`.
        registry: MLflow tracking address that the curves are logged to.
        placed: Filled in by Kubeflow Pipelines: what each node is given.
        nodes: Nodes that train, as a TrainJob; 0: this step trains itself.
        gpus: GPUs of each node that trains.
        queue: Kueue's queue that the nodes wait in until all can start; empty: none.
        hours: The cluster stops the training after that long.

    Returns:
        network: Checkpoint folder.
        run: Folder with the settings and the curves of the training.
        metrics: The last validation, if there is one.
    """
    from components.train import step

    sections = {"model": model, "train": train, "pretrain": pretrain}
    inputs = {"tables": tables, "init": stem}
    job = {"nodes": nodes, "gpus": gpus, "queue": queue, "hours": hours, "placed": placed}
    found = step.train("pretrain", inputs, network, run, sections, registry, **job)
    metrics.metadata.update(found)


@dsl.component(base_image=images.TRAIN, install_kfp_package=False, task_config_passthroughs=PASSED)
def finetune_network(
    name: str,
    tables: dsl.Input[dsl.Dataset],
    pretrained: dsl.Input[dsl.Model],
    network: dsl.Output[dsl.Model],
    run: dsl.Output[dsl.Artifact],
    metrics: dsl.Output[dsl.Metrics],
    train: dict,
    finetune: dict,
    registry: str,
    placed: dsl.TaskConfig,
    nodes: int = 0,
    gpus: int = 0,
    queue: str = "",
    hours: float = 24.0,
):
    """Finetune a network for one task.

    Args:
        name: Key of the section `finetune`.
        tables: Folder of tables.
        pretrained: Network to start from.
        train: The section `train` of params.yaml, which all trainings share.
        finetune: The section `finetune`.
        registry: MLflow tracking address that the curves are logged to.
        placed: Filled in by Kubeflow Pipelines: what each node is given.
        nodes: Nodes that train, as a TrainJob; 0: this step trains itself.
        gpus: GPUs of each node that trains.
        queue: Kueue's queue that the nodes wait in until all can start; empty: none.
        hours: The cluster stops the training after that long.

    Returns:
        network: Checkpoint folder.
        run: Folder with the settings and the curves of the training.
        metrics: The last validation.
    """
    from components.train import step

    sections = {"train": train, "finetune": finetune}
    inputs = {"tables": tables, "init": pretrained}
    job = {"nodes": nodes, "gpus": gpus, "queue": queue, "hours": hours, "placed": placed}
    found = step.train("finetune", inputs, network, run, sections, registry, key=name, **job)
    metrics.metadata.update(found)
