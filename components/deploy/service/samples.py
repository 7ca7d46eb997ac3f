"""Makes the sample pictures of the web page: `python -m components.deploy.service.samples`."""

from pathlib import Path

from ofa.data.scenes import SceneConfig
from ofa.data.scenes.composition import compose
from ofa.files import atomic_write

SAMPLES = {"beach": 3, "stripes": 14, "night": 12}
"""Names and numbers of the scenes: of a split of their own, so no training saw them."""

CONFIG = SceneConfig(sizes=((480, 384),), objects=(0, 1, 2, 2, 1))


def write_samples(folder: Path) -> None:
    """Write the sample pictures as lossless WebP files of less than 12 kB."""
    for name, number in SAMPLES.items():
        _, picture = compose(CONFIG, "sample", number)
        with atomic_write(folder / f"{name}.webp", "wb") as file:
            picture.save(file, "WEBP", lossless=True, method=6)


if __name__ == "__main__":
    write_samples(Path(__file__).with_name("page"))
