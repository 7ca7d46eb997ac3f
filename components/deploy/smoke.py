"""A smoke request: does the service answer, and with the version that it should have?"""

import base64
import json
import urllib.error
import urllib.request
from http.client import HTTPException
from pathlib import Path
from typing import Any

from ofa.errors import OFAError

PICTURE = Path(__file__).parent / "service" / "page" / "beach.webp"
"""A sample picture of the page."""


def smoke(service: str, version: str, name: str = "ofa", key: str = "", timeout: float = 60.0) -> str:
    """Ask a running service one question.

    Args:
        service: its address.
        version: that must answer.
        name: of the model.
        key: that the service asks for.
        timeout: seconds for each request.

    Returns:
        What it answered, in a line.

    Raises:
        OFAError: it does not answer, or as another version.
    """
    address = service.rstrip("/")
    described = _call(f"{address}/api/model", key, timeout)
    served = described.get("name"), described.get("version")
    if served != (name, version):
        raise OFAError(f"{service}: serves version {served[1]} of {served[0]}, not {version} of {name}")
    asked = next((o for o in described["operations"] if not o["box"]), None)
    if asked is None:
        raise OFAError(f"{service}: version {version} can do nothing that a smoke request could ask")
    body = {} if asked["image"] == "none" else {"image": base64.b64encode(PICTURE.read_bytes()).decode()}
    body |= {asked["text"]: "what is it?"} if asked["text"] else {}
    answer = _call(f"{address}/api/{asked['name']}", key, timeout, body)
    if answer["model"]["version"] != version:
        raise OFAError(f"{service}: version {answer['model']['version']} answered, not {version}")
    said = answer["results"][0][asked["result"]]
    return f"{service}: version {version} answers {asked['name']} in {answer['milliseconds']:g} ms: {str(said)[:80]}"


def _call(address: str, key: str, timeout: float, body: dict[str, Any] | None = None) -> Any:
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
    data = None if body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(address, data, headers), timeout=timeout) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        raise OFAError(f"{address}: {error.code} {error.read(500).decode(errors='replace')}") from error
    except (OSError, HTTPException, ValueError) as error:
        raise OFAError(f"{address}: does not answer ({error})") from error
