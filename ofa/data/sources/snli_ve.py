"""SNLI-VE: does a picture of Flickr30k imply a sentence?"""

import json
import os
from collections.abc import Iterator

from ofa.data.sources.records import ImageFolder, SourceRow, read_lines, spaced, values
from ofa.errors import OFAError


def rows(annotations: str | os.PathLike, images_folder: str | os.PathLike) -> Iterator[SourceRow]:
    """Rows of the snli_ve table, one a sentence; the caption is the sentence's premise in SNLI.

    Args:
        annotations: `snli_ve_{train,dev,test}.jsonl`, a JSON object a line.
        images_folder: the pictures of Flickr30k, `{Flickr30K_ID}.jpg`.

    Raises:
        OFAError: a file, folder or key is missing, or a line is not JSON.
    """
    images = ImageFolder(images_folder)
    for number, line in enumerate(read_lines(annotations), 1):
        if not line.strip():
            continue
        place = f"line {number}"
        try:
            record = json.loads(line)
        except ValueError as error:
            raise OFAError(f"{annotations}: {place} is not JSON ({error}); fetch the file again") from None
        pair, image, premise, hypothesis, label = values(
            record, annotations, place, "pairID", "Flickr30K_ID", "sentence1", "sentence2", "gold_label"
        )
        image = str(image).removesuffix(".jpg")
        yield {
            "uniq_id": str(pair),
            "image_id": image,
            "hypothesis": spaced(hypothesis),
            "caption": spaced(premise),
            "label": label,
            "image_path": images.by_name(f"{image}.jpg"),
        }
