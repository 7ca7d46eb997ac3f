"""The OFA network."""

from ofa.model.config import OFAConfig
from ofa.model.encoder import Encoded
from ofa.model.network import OFAModel

__all__ = ["Encoded", "OFAConfig", "OFAModel"]
