"""Pictures by web address, from hosts that the operator listed and from nowhere else."""

import urllib.error
import urllib.request
from collections.abc import Collection
from http.client import HTTPException
from urllib.parse import urlsplit

from components.deploy.service.errors import BadImage, TooLarge

SCHEMES = ("http://", "https://")

_SECONDS = 10.0


class _Stay(urllib.request.HTTPRedirectHandler):
    """A listed host must not send the service elsewhere."""

    def redirect_request(self, *_):
        return None


def is_address(value: str) -> bool:
    """Whether a picture is given by its address."""
    return value.startswith(SCHEMES)


def fetch_picture(address: str, hosts: Collection[str], limit: int) -> bytes:
    """The file behind an address.

    Args:
        address: http or https.
        hosts: that may be asked, as "example.org" or "example.org:8080".
        limit: bytes that are read at most.

    Raises:
        BadImage: the host is not listed, or it does not give the file without a redirection.
        TooLarge: it has more bytes.
    """
    if not hosts:
        raise BadImage("pictures by address are not taken here; send the file itself")
    try:
        place = urlsplit(address)
        asked = place.hostname if place.port is None else f"{place.hostname}:{place.port}"
    except ValueError as error:
        raise BadImage(f"{address[:200]!r} is no address: {error}") from None
    if asked not in hosts or place.username or place.password:
        raise BadImage(
            f"pictures are not taken from {asked}, only from {', '.join(sorted(hosts))}; send the file itself"
        )
    try:
        with urllib.request.build_opener(_Stay).open(address, timeout=_SECONDS) as answer:
            content = answer.read(limit + 1)
    except urllib.error.HTTPError as error:
        raise BadImage(f"{asked} does not give the picture: {error.code}") from None
    except (OSError, HTTPException, ValueError) as error:
        raise BadImage(f"{asked} does not give the picture: {error}") from None
    if len(content) > limit:
        raise TooLarge(f"the picture at {asked} has more than {limit} bytes")
    return content
