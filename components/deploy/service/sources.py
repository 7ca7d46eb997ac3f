"""Where the model comes from: a folder, or a version in the registry."""

import re
import shutil
from abc import ABC, abstractmethod
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from components.deploy.bundle import BUNDLE, load_bundle
from components.deploy.registry import Registry
from components.deploy.service.models import Model, load_model
from components.deploy.service.settings import ServiceSettings
from ofa.errors import OFAError

_ADDRESS = re.compile(r"models:/(?P<name>[^/@]+)(?:@(?P<alias>[^/@]+)|/(?P<number>\d+))")
_KEPT = 2


class Source(ABC):
    """Something that names a version of the model and can load it."""

    moves = False
    """Whether the version may change while the service runs."""

    @abstractmethod
    def current(self) -> str:
        """The version that should be served now.

        Raises:
            RegistryDown: the registry does not answer.
            OFAError: there is none.
        """

    def cached(self) -> str | None:
        """The version that was served last, where it can be loaded without asking anyone."""
        return None

    @abstractmethod
    def load(self, version: str) -> Model:
        """Load a version that `current` named.

        Raises:
            OFAError: it cannot be loaded.
        """


def source(settings: ServiceSettings) -> Source:
    """The source that the settings name.

    Raises:
        OFAError: an address of the registry that is none.
    """
    if not settings.model.startswith("models:"):
        return Folder(settings.model, settings.device)
    found = _ADDRESS.fullmatch(settings.model)
    if found is None:
        raise OFAError(
            f"model {settings.model!r}: an address in the registry is models:/NAME@ALIAS or models:/NAME/NUMBER"
        )
    return Registered(settings, **found.groupdict())


class Folder(Source):
    """A model in a folder, read once."""

    def __init__(self, folder: str, device: str):
        self.folder, self.device = folder, device

    def current(self) -> str:
        return ""

    def load(self, version: str) -> Model:
        return load_model(self.folder, self.folder, device=self.device)


class Registered(Source):
    """A registered model. Downloaded versions stay in a cache, so that a service can start without the registry."""

    def __init__(self, settings: ServiceSettings, name: str, alias: str | None, number: str | None):
        self.address, self.device, self.uri = settings.model, settings.device, settings.registry
        self.name, self.alias, self.number = name, alias, number
        self.moves = alias is not None
        self.cache = Path(settings.cache) / name
        self._tags: dict[str, str] = {}

    @cached_property
    def _registry(self) -> Registry:
        return Registry(self.uri, self.name)  # when it is needed: MLflow takes seconds to import

    def current(self) -> str:
        if self.number is not None:
            self._tags = self._tags_of(self.number)
            return self.number
        version = self._registry.alias(self.alias)
        if version is None:
            raise OFAError(
                f"{self.uri}: no version of model '{self.name}' is {self.alias}; promote one, or serve a folder"
            )
        self._tags = dict(version.tags)
        return version.number

    def _tags_of(self, number: str) -> dict[str, str]:
        from mlflow.exceptions import MlflowException

        store = self._registry
        try:
            return dict(store.call(lambda: store.client.get_model_version(self.name, number)).tags)
        except MlflowException as error:
            raise OFAError(f"{self.uri}: no version {number} of model '{self.name}' ({error.error_code})") from error

    def cached(self) -> str | None:
        if self.number is not None:
            return self.number if (self.cache / self.number / BUNDLE).is_file() else None
        versions = [path for path in self.cache.glob("*") if (path / BUNDLE).is_file()]
        newest = max(versions, key=lambda path: path.stat().st_mtime, default=None)
        return newest and newest.name

    def load(self, version: str) -> Model:
        folder = self.cache / version
        if not self._is_whole(folder):
            self._registry.download(version, ".", folder)
        folder.touch()
        model = load_model(folder, self.address, version, self.device)
        self._forget_old()
        return replace(model, registered=self._page(version))

    def _is_whole(self, folder: Path) -> bool:
        """Whether the cache holds this version: another registry may have another model under the same number."""
        if not (folder / BUNDLE).is_file():
            return False
        return self._tags.get("bundle_sha256") in (None, load_bundle(folder).sha256)

    def _page(self, version: str) -> str | None:
        if not self.uri.startswith("http"):
            return None
        return f"{self.uri.rstrip('/')}/#/models/{self.name}/versions/{version}"

    def _forget_old(self) -> None:
        versions = sorted(self.cache.glob("[0-9]*"), key=lambda path: path.stat().st_mtime, reverse=True)
        for path in versions[_KEPT:]:
            shutil.rmtree(path, ignore_errors=True)
