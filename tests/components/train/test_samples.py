"""Pictures of what a network says while it trains, and of its curves."""

from PIL import Image, ImageColor

from components.train.curves import plot_curves
from components.train.samples import GAP, PREDICTED, SHOWN, SIDE, TRUE, Samples, sample, sheet
from ofa.tasks.base import Prediction
from ofa.tasks.boxes import Box, Region
from ofa.tasks.vision_language import Truth
from ofa.train.history import History

BLACK = Image.new("RGB", (SIDE, SIDE))


def test_boxes_are_drawn_where_they_are():
    shown = sample(BLACK, Box(20, 30, 100, 110), Region(BLACK.size, (150, 160, 250, 260), "the cat"))
    assert shown.getpixel((20, 70)) == ImageColor.getrgb(PREDICTED)
    assert shown.getpixel((150, 200)) == ImageColor.getrgb(TRUE)
    assert shown.getpixel((70, 70)) == (0, 0, 0)


def test_what_a_sample_of_pretraining_asks_for_is_shown_as_its_own_kind():
    region = Region(BLACK.size, (150, 160, 250, 260), "the cat")
    box, text = Box(20, 30, 100, 110), "the dog"
    assert sample(BLACK, box, Truth("grounding", region)).tobytes() == sample(BLACK, box, region).tobytes()
    shown = sample(BLACK, text, Truth("region_caption", "the cat"))
    assert shown.tobytes() == sample(BLACK, text, "the cat").tobytes()


def test_texts_stand_below_and_differ_with_the_prediction():
    one, other = (sample(BLACK, text, ["a cat"]) for text in ("a dog", "a cow"))
    assert one.height > one.width and one.tobytes() != other.tobytes()


def test_a_validation_gives_one_sheet_at_its_step():
    logged = []
    samples = Samples(lambda sheet, step: logged.append((step, sheet.size)))
    rows = [{"image": BLACK}] * (SHOWN + 2)
    predictions = [Prediction("id", "yes", 0.0)] * len(rows)
    for step, metrics in ((1, {"loss": 1.0}), (2, {"validation/accuracy": 1.0}), (3, {"validation/accuracy": 1.0})):
        if step < 3:
            samples.keep(rows, predictions, [{"yes": 1.0}] * len(rows))
        samples(step, metrics)
    height = sample(BLACK, "yes", {"yes": 1.0}).height
    assert logged == [(2, (4 * (SIDE + GAP), 2 * (height + GAP)))]


def test_texts_without_pictures_give_no_sheet():
    logged = []
    samples = Samples(lambda sheet, step: logged.append(step))
    samples.keep([{"sentence1": "a"}], [Prediction("id", "yes", 0.0)], ["yes"])
    samples(1, {"validation/accuracy": 1.0})
    assert logged == [] and sheet([]) is None


def test_curves_are_one_picture(tmp_path):
    assert plot_curves(tmp_path, "run") is None
    history, validation = History(tmp_path / "history.csv"), History(tmp_path / "validation.csv")
    for step in range(1, 4):
        history.add(step, {"loss": 1 / step, "gradient_norm": float("nan") if step == 2 else 1.0, "skipped": 0})
    validation.add(3, {"CIDEr": 0.5})
    with Image.open(plot_curves(tmp_path, "run")) as picture:
        assert picture.size == (1200, 520), "four charts, three in a row"
