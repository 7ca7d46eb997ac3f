"""COCO: captions (also with Karpathy's splits) and detection."""

import os
from collections.abc import Iterator

from ofa.data.sources.json_lists import read_list
from ofa.data.sources.records import ImageFolder, SourceRow, box_text, one_line, values
from ofa.errors import OFAError


def caption_rows(
    annotations: str | os.PathLike, images_folder: str | os.PathLike, split: str, separate: bool | None = None
) -> Iterator[SourceRow]:
    """Rows of the caption table, in lower case as the original's tables are.

    Args:
        annotations: COCO's `captions_*.json`, or Karpathy's `dataset_coco.json`, which knows its splits.
        images_folder: where the pictures are; for Karpathy's file, the folder that holds `train2014` and `val2014`.
        split: which split to take from Karpathy's file (its `restval` belongs to `train`).
        separate: one row a caption, as for training, or one row a picture with its captions joined by `&&`, as for
            evaluation. By default the former for the split `train` and the latter for any other.

    Raises:
        OFAError: a file, folder or key is missing, or there is no such split.
    """
    images = ImageFolder(images_folder)
    first = next(read_list(annotations, "images"), None)
    read = _karpathy_captions if isinstance(first, dict) and "sentences" in first else _coco_captions
    separate = split == "train" if separate is None else separate
    for image_id, path, captions in read(annotations, images, split):
        shared = {"image_id": str(image_id), "objects": "", "image_path": path}
        if separate:
            for caption_id, text in captions:
                yield {"uniq_id": str(caption_id), "caption": text, **shared}
        elif captions:
            yield {"uniq_id": str(image_id), "caption": "&&".join(text for _, text in captions), **shared}


def detection_rows(instances: str | os.PathLike, images_folder: str | os.PathLike) -> Iterator[SourceRow]:
    """Rows of the detection table, one a picture that shows objects; crowds and boxes without area are left out.

    Raises:
        OFAError: a file, folder or key is missing.
    """
    images = ImageFolder(images_folder)
    names = _category_names(instances)
    boxes: dict[int, list[str]] = {}
    for number, record in enumerate(read_list(instances, "annotations")):
        place = f"annotations[{number}]"
        image_id, category, (x, y, width, height) = values(record, instances, place, "image_id", "category_id", "bbox")
        if category not in names:
            raise OFAError(f"{instances}: {place} is of category {category}, which 'categories' does not list")
        if not record.get("iscrowd") and width > 0 and height > 0:
            boxes.setdefault(image_id, []).append(f"{box_text(x, y, width, height)},{category},{names[category]}")
    for number, record in enumerate(read_list(instances, "images")):
        image_id, file_name = values(record, instances, f"images[{number}]", "id", "file_name")
        if image_id in boxes:
            yield {
                "uniq_id": str(image_id),
                "boxes": "&&".join(boxes[image_id]),
                "image_path": images.by_name(file_name),
            }


def object_names(instances: str | os.PathLike) -> dict[str, list[str]]:
    """Names of the kinds of objects that each picture shows, by the picture's id as text, each name once.

    Raises:
        OFAError: a file or key is missing.
    """
    names = _category_names(instances)
    found: dict[str, dict[str, None]] = {}
    for number, record in enumerate(read_list(instances, "annotations")):
        image_id, category = values(record, instances, f"annotations[{number}]", "image_id", "category_id")
        if category in names:
            found.setdefault(str(image_id), {})[names[category]] = None
    return {image_id: list(kinds) for image_id, kinds in found.items()}


_Captions = Iterator[tuple[int, str, list[tuple[int, str]]]]


def _coco_captions(source: str | os.PathLike, images: ImageFolder, split: str) -> _Captions:
    captions: dict[int, list[tuple[int, str]]] = {}
    for number, record in enumerate(read_list(source, "annotations")):
        place = f"annotations[{number}]"
        caption_id, image_id, caption = values(record, source, place, "id", "image_id", "caption")
        captions.setdefault(image_id, []).append((caption_id, one_line(caption).lower()))
    for number, record in enumerate(read_list(source, "images")):
        image_id, file_name = values(record, source, f"images[{number}]", "id", "file_name")
        yield image_id, images.by_name(file_name), captions.get(image_id, [])


def _karpathy_captions(source: str | os.PathLike, images: ImageFolder, split: str) -> _Captions:
    wanted = {"train", "restval"} if split == "train" else {split}
    present = {record.get("split") for record in read_list(source, "images")}
    if not wanted & present:
        raise OFAError(f"{source} has no split '{split}'; it has {', '.join(sorted(map(str, present)))}")
    for number, record in enumerate(read_list(source, "images")):
        place = f"images[{number}]"
        file_name, sentences, part = values(record, source, place, "filename", "sentences", "split")
        if part in wanted:
            image_id = record.get("cocoid", record.get("imgid"))
            captions = [values(sentence, source, place, "sentid", "raw") for sentence in sentences]
            path = images.by_name(os.path.join(record.get("filepath", ""), file_name))
            yield image_id, path, [(caption_id, one_line(raw).lower()) for caption_id, raw in captions]


def _category_names(source: str | os.PathLike) -> dict[int, str]:
    pairs = (
        values(record, source, f"categories[{number}]", "id", "name")
        for number, record in enumerate(read_list(source, "categories"))
    )
    return {category: one_line(name) for category, name in pairs}
