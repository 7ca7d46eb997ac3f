"""Public data sets in their own formats, read as rows for the tables.

Each module reads one format and yields `records.SourceRow`s: the columns of a table's row (`ofa.data.schema.TABLES`)
except `image`, and `image_path`, the file whose bytes the table will hold. Nothing here opens a picture.

A folder of raw data is laid out as `ofa.data.scenes.write_scenes` does; real data fit into it under the same names::

    images/{split}/*.jpg                         images/train2014/COCO_train2014_000000000009.jpg works as well
    annotations/instances_{split}.json           COCO
    annotations/captions_{split}.json            COCO, or one dataset_coco.json with Karpathy's splits
    refcoco/instances.json, refcoco/refs(...).p  RefCOCO, RefCOCO+, RefCOCOg, each in a folder of its own
    vqa/questions_{split}.json                   VQA v2
    vqa/annotations_{split}.json
"""
