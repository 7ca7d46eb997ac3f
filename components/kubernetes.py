"""A Kubernetes cluster: its objects, of whatever kinds it knows, and what it says where it refuses.

Trainings go through Kubeflow's client, which stands on the same library; they share how a cluster is found and heard.
"""

import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ofa.errors import OFAError

MANAGER = "ofa"
"""Who the cluster says made the fields that are applied."""

Object = dict[str, Any]


class Cluster:
    """The objects of one cluster.

    Args:
        client: `kubernetes.client.ApiClient`; by default one of the current context or of the pod that this runs in.

    Raises:
        OFAError: there is no cluster; and from here on, whenever it does not answer or refuses.
    """

    def __init__(self, client: Any = None):
        from kubernetes import config
        from kubernetes.client import ApiClient
        from kubernetes.dynamic import DynamicClient

        if client is None:
            in_pod = "KUBERNETES_SERVICE_HOST" in os.environ and "KUBECONFIG" not in os.environ
            with connecting():
                (config.load_incluster_config if in_pod else config.load_kube_config)()
            client = ApiClient()
        self._host = client.configuration.host
        # The client keeps what it discovers in a file, by default in the folder that all users share. Where it cannot,
        # as later here, it goes on with what it has in memory.
        with TemporaryDirectory() as folder, self._asked("the cluster refuses to say which kinds it knows"):
            try:
                self._client = DynamicClient(client, cache_file=str(Path(folder) / "kinds.json"))
            except (AttributeError, KeyError, TypeError, ValueError) as error:
                raise OFAError(
                    f"{self._host} does not answer as Kubernetes does; check the server in KUBECONFIG"
                ) from error

    def get(self, found: Object) -> Object | None:
        """The object as the cluster has it; None where it has none."""
        from kubernetes.dynamic.exceptions import NotFoundError

        with self._asked(f"{title(found)}: the cluster refuses to show it"):
            try:
                return self._resource(found).get(**_place(found), serializer=_plain)
            except NotFoundError:
                return None

    def apply(self, found: Object, dry: bool = False) -> Object:
        """Make the object as it is given; what it comes to."""
        options = {"dry_run": "All"} if dry else {}
        with self._asked(f"{title(found)}: the cluster refuses to apply it"):
            return self._resource(found).server_side_apply(
                found, **_place(found), field_manager=MANAGER, force_conflicts="true", serializer=_plain, **options
            )

    def delete(self, found: Object) -> None:
        """Take the object away."""
        from kubernetes.dynamic.exceptions import NotFoundError

        with self._asked(f"{title(found)}: the cluster refuses to delete it"):
            try:
                self._resource(found).delete(**_place(found))
            except NotFoundError:
                return

    def _resource(self, found: Object) -> Any:
        """The client for objects of a kind and version."""
        from kubernetes.dynamic.exceptions import ResourceNotFoundError

        version, kind = found["apiVersion"], found["kind"]
        try:
            # Without the prefix, it would ask for the kinds of every group that has a version of that name.
            prefix = "apis" if "/" in version else "api"
            return self._client.resources.get(prefix=prefix, api_version=version, kind=kind)
        except ResourceNotFoundError as error:
            raise OFAError(
                f"{title(found)}: the cluster knows no {kind} of {version}; install what brings it, or name manifests "
                f"that do without"
            ) from error

    @contextmanager
    def _asked(self, refused: str) -> Iterator[None]:
        from kubernetes.client import ApiException
        from urllib3.exceptions import HTTPError

        logger = logging.getLogger("urllib3.connectionpool")  # it warns at each attempt
        level = logger.level
        logger.setLevel(logging.ERROR)
        try:
            yield
        except ApiException as error:
            todo = "; log in to the cluster again" if error.status == 401 else ""
            raise OFAError(f"{refused}: {error.status} {reason(error)}{todo}") from error
        except HTTPError as error:
            why = getattr(error, "reason", error)  # the last of several attempts
            raise OFAError(f"the cluster {self._host} does not answer: {why}; check KUBECONFIG") from error
        finally:
            logger.setLevel(level)


@contextmanager
def connecting() -> Iterator[None]:
    """One error for a cluster that is not named anywhere, or in a file that cannot be read."""
    from kubernetes.config import ConfigException
    from yaml import YAMLError

    try:
        yield
    except ConfigException as error:
        raise OFAError(f"no cluster: {str(error).rstrip('.')}; set KUBECONFIG, or run it in a pod") from error
    except (TypeError, UnicodeDecodeError, YAMLError) as error:
        raise OFAError(f"no cluster: the file that KUBECONFIG names is none of kubectl's ({error})") from error


def reason(error: Any) -> str:
    """What an API says of its refusal, for people: the message of its answer, or else the status's words."""
    try:
        return str(json.loads(error.body)["message"])
    except (TypeError, ValueError, KeyError):
        return str(error.reason)


def title(found: Object) -> str:
    """Kind and name of an object."""
    return f"{found['kind']} {found['metadata']['name']}"


def _place(found: Object) -> dict[str, str]:
    return {"name": found["metadata"]["name"], "namespace": found["metadata"]["namespace"]}


def _plain(_: Any, content: Object) -> Object:
    return content
