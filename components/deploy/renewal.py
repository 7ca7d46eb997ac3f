"""Whether the champion, or what was last tried in its place, was already trained on a version of the data."""

from components.deploy.registry import CHALLENGER, CHAMPION, MODEL, Registry, Version
from ofa.errors import OFAError

_VERSION = ".data_version"
"""How the tags end that `components.deploy.promote.lineage_tags` makes of the version of the data."""


def is_new(data: str, registry: str, name: str = MODEL) -> bool:
    """Whether neither the champion nor the challenger saw this version of the data.

    A challenger that the gate rejected counts: the same data would give the same model again.

    Args:
        data: version of the data.
        registry: MLflow tracking address.
        name: of the registered model.

    Raises:
        OFAError: there is no champion to go on from.
        RegistryDown: the registry does not answer.
    """
    store = Registry(registry, name)
    champion, challenger = store.alias(CHAMPION), store.alias(CHALLENGER)
    if champion is None:
        raise OFAError(f"{registry}: model '{name}' has no champion to go on from; run the pipeline `finetune` first")
    return not any(data in _seen(version) for version in (champion, challenger) if version is not None)


def _seen(version: Version) -> set[str]:
    return {value for key, value in version.tags.items() if key.endswith(_VERSION)}
