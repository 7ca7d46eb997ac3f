"""The training steps as KFP components: each calls the step of the same name from the package in its image.

Settings arrive as the sections of params.yaml that a step reads, each a parameter of its own: so a step is only run
again when a section of its own changed, and the page of a run shows what it was run with.
"""

from kfp import dsl

from components import images


@dsl.component(base_image=images.TRAIN, install_kfp_package=False)
def train_vqgan(
    tables: dsl.Input[dsl.Dataset],
    network: dsl.Output[dsl.Model],
    run: dsl.Output[dsl.Artifact],
    metrics: dsl.Output[dsl.Metrics],
    train: dict,
    vqgan: dict,
    registry: str,
):
    """Train the network between pictures and image codes.

    Args:
        tables: Folder of tables.
        network: Folder of the VQ-GAN.
        run: Folder with the settings, the curves and the last states of the training.
        metrics: The last validation.
        train: The section `train` of params.yaml, which all trainings share.
        vqgan: The section `vqgan`.
        registry: MLflow tracking address that the curves are logged to.
    """
    import os

    from components.params import save_sections
    from components.train.vqgan import vqgan as step

    os.environ["MLFLOW_TRACKING_URI"] = registry
    params = save_sections(run.path, train=train, vqgan=vqgan)
    metrics.metadata.update(step(tables.path, network.path, f"{run.path}/vqgan", params).metrics)


@dsl.component(base_image=images.TRAIN, install_kfp_package=False)
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
):
    """Pretrain the encoder on boxes and the texts that mean them, in place of ImageNet weights.

    Args:
        tables: Folder of tables.
        network: Checkpoint folder.
        run: Folder with the settings, the curves and the last states of the training.
        metrics: The last validation.
        model: The section `model` of params.yaml.
        train: The section `train`, which all trainings share.
        stem: The section `stem`.
        pretrain: The section `pretrain`: the network gets the words of its tables.
        registry: MLflow tracking address that the curves are logged to.
    """
    import os

    from components.params import save_sections
    from components.train.stem import stem as step

    os.environ["MLFLOW_TRACKING_URI"] = registry
    params = save_sections(run.path, model=model, train=train, stem=stem, pretrain=pretrain)
    metrics.metadata.update(step(tables.path, network.path, f"{run.path}/stem", params).metrics)


@dsl.component(base_image=images.TRAIN, install_kfp_package=False)
def pretrain_network(
    tables: dsl.Input[dsl.Dataset],
    stem: dsl.Input[dsl.Model],
    network: dsl.Output[dsl.Model],
    run: dsl.Output[dsl.Artifact],
    model: dict,
    train: dict,
    pretrain: dict,
    registry: str,
):
    """Pretrain one network on the mixture of all pretraining tables.

    Args:
        tables: Folder of tables.
        stem: Network to start from.
        network: Checkpoint folder.
        run: Folder with the settings, the curves and the last states of the training.
        model: The section `model` of params.yaml.
        train: The section `train`, which all trainings share.
        pretrain: The section `pretrain`.
        registry: MLflow tracking address that the curves are logged to.
    """
    import os

    from components.params import save_sections
    from components.train.pretrain import pretrain as step

    os.environ["MLFLOW_TRACKING_URI"] = registry
    params = save_sections(run.path, model=model, train=train, pretrain=pretrain)
    step(tables.path, network.path, f"{run.path}/pretrain", stem.path, params)


@dsl.component(base_image=images.TRAIN, install_kfp_package=False)
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
):
    """Finetune a network for one task.

    Args:
        name: Key of the section `finetune`.
        tables: Folder of tables.
        pretrained: Network to start from.
        network: Checkpoint folder.
        run: Folder with the settings, the curves and the last states of the training.
        metrics: The last validation.
        train: The section `train` of params.yaml, which all trainings share.
        finetune: The section `finetune`.
        registry: MLflow tracking address that the curves are logged to.
    """
    import os

    from components.params import save_sections
    from components.train.finetune import finetune as step

    os.environ["MLFLOW_TRACKING_URI"] = registry
    params = save_sections(run.path, train=train, finetune=finetune)
    result = step(name, tables.path, pretrained.path, network.path, f"{run.path}/{name}", params)
    metrics.metadata.update(result.metrics)
