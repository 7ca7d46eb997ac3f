"""The columns of each kind of table: the original's files, in its order (the tables have no header)."""

TABLES: dict[str, tuple[str, ...]] = {
    "caption": ("uniq_id", "image_id", "caption", "objects", "image"),
    "refcoco": ("uniq_id", "image_id", "text", "box", "image"),
    "vqa": ("uniq_id", "image_id", "question", "answers", "objects", "image"),
    "snli_ve": ("uniq_id", "image_id", "image", "hypothesis", "caption", "label"),
    "image_gen": ("uniq_id", "codes", "caption"),
    "vision_language": ("uniq_id", "image", "caption", "question", "answers", "objects", "dataset", "type"),
    "text": ("uniq_id", "text"),
    "image": ("uniq_id", "image", "codes"),
    "detection": ("uniq_id", "image", "boxes"),
    "image_classify": ("image", "label_id", "label"),
    "ocr": ("uniq_id", "image", "text"),
    "gigaword": ("source", "target"),
    "cola": ("uniq_id", "sentence1", "label"),
    "mnli": ("sentence1", "sentence2", "label"),
    "mrpc": ("sentence1", "sentence2", "label"),
    "qnli": ("uniq_id", "sentence1", "sentence2", "label"),
    "qqp": ("uniq_id", "question1_id", "question2_id", "sentence1", "sentence2", "label"),
    "rte": ("uniq_id", "sentence1", "sentence2", "label"),
    "sst2": ("sentence1", "label"),
}
"""Names by table kind.

| column | content |
| --- | --- |
| uniq_id | the row's own id (VQA: the question id); where a kind has none, the number of the row counts |
| image_id | the id of the picture in its source |
| image | the bytes of the picture file in base64 (standard or URL-safe) |
| caption | one caption; several references are joined by `&&` |
| objects | predicted or annotated object labels joined by `&&`; may be empty |
| text | an expression that describes a region, the texts on a picture, or plain text |
| box | `x0,y0,x1,y1`: left, top, right, bottom in pixels of the stored picture |
| question | as asked |
| answers | `confidence|!+answer` joined by `&&`, confidence in 0..1 |
| hypothesis, label | snli_ve: the sentence to judge; entailment, neutral or contradiction |
| label_id, label | image_classify: number and name of the class |
| sentence1, sentence2, label | GLUE: texts and label as published, mnli: 0 neutral, 1 entailment, 2 contradiction; \
where labels are secret the column is empty |
| question1_id, question2_id | qqp: the questions' own ids |
| source, target | gigaword: a sentence and its headline |
| codes | VQ-GAN codes 0..8191 in raster order, joined by spaces |
| dataset, type | vision_language: name of the source; caption, qa or visual_grounding |
| boxes | detection: `x0,y0,x1,y1,object_id,object_name` joined by `&&` |
"""
