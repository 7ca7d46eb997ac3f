"""The tools of the public data sets read the files."""

import contextlib
import io

from pycocotools.coco import COCO


def load(path):
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(str(path))


def test_pycocotools_reads_instances(scenes):
    coco = load(scenes.folder / "annotations" / "instances_train.json")
    assert len(coco.getImgIds()) == 250 and len(coco.getCatIds()) == 16
    (cat,) = coco.getCatIds(catNms=["cat"])
    with_cats = coco.getImgIds(catIds=[cat])
    assert 0 < len(with_cats) < 250
    for annotation in coco.loadAnns(coco.getAnnIds(imgIds=with_cats, catIds=[cat], iscrowd=False)):
        assert 0 < annotation["area"] <= annotation["bbox"][2] * annotation["bbox"][3]
    assert coco.loadCats([cat])[0]["supercategory"] == "animal"


def test_pycocotools_reads_captions_and_scores_them(scenes):
    coco = load(scenes.folder / "annotations" / "captions_val.json")
    assert [len(coco.imgToAnns[image_id]) for image_id in coco.getImgIds()] == [5] * 20


def test_ids_are_unique_over_all_splits(scenes):
    for contents, key in (
        (scenes.instances, "annotations"),
        (scenes.instances, "images"),
        (scenes.captions, "annotations"),
    ):
        ids = [record["id"] for content in contents.values() for record in content[key]]
        assert len(ids) == len(set(ids))


def test_vqa_files_have_the_keys_of_vqa_v2(scenes):
    questions, annotations = scenes.questions["val"], scenes.answers["val"]
    for content in (questions, annotations):
        assert {"info", "license", "task_type", "data_type", "data_subtype"} <= set(content)
    assert set(questions["questions"][0]) == {"image_id", "question", "question_id"}
    assert set(annotations["annotations"][0]) == {
        "question_type", "multiple_choice_answer", "answers", "image_id", "answer_type", "question_id"
    }  # fmt: skip
