"""Pictures composed of OpenMoji artwork, with annotations in the public formats of COCO, RefCOCO and VQA v2."""

from ofa.data.scenes.config import SceneConfig
from ofa.data.scenes.publish import write_scenes

__all__ = ["SceneConfig", "write_scenes"]
