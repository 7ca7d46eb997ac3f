"""RefCOCO, RefCOCO+ and RefCOCOg: referring expressions, as the REFER interface publishes them."""

import os
from collections.abc import Iterator

from ofa.data.sources.json_lists import read_list
from ofa.data.sources.plain_pickle import load_plain_pickle
from ofa.data.sources.records import ImageFolder, SourceRow, box_text, one_line, values
from ofa.errors import OFAError


def rows(
    refs: str | os.PathLike, instances: str | os.PathLike, images_folder: str | os.PathLike, split: str
) -> Iterator[SourceRow]:
    """Rows of the refcoco table, one an expression, which is kept as people typed it.

    Args:
        refs: `refs(unc).p`, `refs(umd).p`, `refs(google).p`: a pickle, of which only plain values are read.
        instances: its `instances.json`.
        images_folder: where the pictures of `instances.json` are (COCO's train2014).
        split: train, val, testA, testB, ...

    Raises:
        OFAError: a file, folder or key is missing, or there is no such split.
    """
    images = ImageFolder(images_folder)
    names = dict(
        values(record, instances, f"images[{number}]", "id", "file_name")
        for number, record in enumerate(read_list(instances, "images"))
    )
    boxes = dict(
        values(record, instances, f"annotations[{number}]", "id", "bbox")
        for number, record in enumerate(read_list(instances, "annotations"))
    )
    records = load_plain_pickle(refs)
    if not isinstance(records, list):
        raise OFAError(f"{refs} holds a {type(records).__name__}, not a list of refs: is it the right file?")
    splits = {values(record, refs, f"ref {number}", "split")[0] for number, record in enumerate(records)}
    if split not in splits:
        raise OFAError(f"{refs} has no split '{split}'; it has {', '.join(sorted(splits))}")
    for number, record in enumerate(records):
        if record["split"] != split:
            continue
        place = f"ref {number}"
        ref_id, annotation, image_id, sentences = values(
            record, refs, place, "ref_id", "ann_id", "image_id", "sentences"
        )
        if annotation not in boxes or image_id not in names:
            raise OFAError(f"{refs}: {place} is of annotation {annotation} in image {image_id}, not in {instances}")
        for position, sentence in enumerate(sentences, start=1):
            (raw,) = values(sentence, refs, place, "raw" if "raw" in sentence else "sent")
            yield {
                "uniq_id": f"{ref_id}_{position}",
                "image_id": str(image_id),
                "text": one_line(raw),
                "box": box_text(*boxes[annotation]),
                "image_path": images.by_name(names[image_id]),
            }
