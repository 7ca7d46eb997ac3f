"""Rolling out: a service that follows the registry's champion gets time to switch; if it does not, the champion goes.

The service itself loads and warms a new version beside the old one and switches without a pause
(`components.deploy.service.keeper`). This step makes sure that it did.
"""

import http.client
import json
import logging
import time
import urllib.request

from components.deploy.promote import rollback
from components.deploy.registry import CHAMPION, MODEL, Registry
from ofa.errors import OFAError

logger = logging.getLogger(__name__)


def roll_out(
    version: str,
    service: str,
    registry: str,
    name: str = MODEL,
    timeout: float = 900.0,
    pause: float = 5.0,
) -> None:
    """Wait until a service answers with a version; otherwise make the previous champion the champion again.

    Args:
        version: of the registered model: the champion.
        service: address, such as "http://ofa.ofa.svc:8000".
        registry: MLflow tracking address.
        name: of the registered model, in the registry and in the service.
        timeout: seconds that the service has.
        pause: seconds between two looks.

    Raises:
        OFAError: `version` is not the champion, or the service did not switch; the champion was then rolled back.
        RegistryDown: the registry does not answer.
    """
    champion = Registry(registry, name).alias(CHAMPION)
    if champion is None or champion.number != version:
        raise OFAError(f"version {version} is not the champion of '{name}'; promote it before it is rolled out")
    end = time.monotonic() + timeout
    while True:
        served, problem = _served(service, name)
        if served == version:
            logger.info("%s serves version %s", service, version)
            return
        if time.monotonic() >= end:
            break
        time.sleep(min(pause, max(0.0, end - time.monotonic())))
    before, now = rollback(registry, name)
    raise OFAError(
        f"{service}: {problem or f'still serves version {served}'} {timeout:g} s after version {before} became the "
        f"champion; rolled back to version {now}; look into the service's log"
    )


def _served(service: str, name: str) -> tuple[str, str]:
    """The version that a service answers with, or why it does not answer."""
    try:
        with urllib.request.urlopen(f"{service.rstrip('/')}/v2/models/{name}", timeout=10) as answer:
            return str(json.load(answer)["versions"][0]), ""
    except (OSError, http.client.HTTPException, ValueError, LookupError) as error:
        return "", f"does not answer ({error})"
