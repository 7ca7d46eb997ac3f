"""Every referring expression means one object, whoever reads it: found again from the words and the boxes alone."""

import re

CORNERS = {"top left": (0, 0), "top right": (2, 0), "bottom left": (0, 2), "bottom right": (2, 2), "center": (1, 1)}
SIDES = (
    (r"leftmost (\w+)|(\w+) on the (?:far )?left|left (\w+)", "x", min),
    (r"rightmost (\w+)|(\w+) on the (?:far )?right|right (\w+)", "x", max),
    (r"(?:topmost|highest|top) (\w+)|(\w+) at the top", "y", min),
    (r"(?:lowest|bottom) (\w+)|(\w+) at the bottom", "y", max),
)


def meant(text, things, image):
    """All objects that the words fit."""
    text = text.removeprefix("the ")

    def named(noun):
        return [thing for thing in things if noun in ("object", "thing") or thing["name"] == noun]

    if found := re.fullmatch(r"(\w+) (?:to the )?(left of|right of|above|below|under) the (\w+)", text):
        (anchor,) = named(found[3])
        axis, sign = {"left of": ("x", -1), "right of": ("x", 1), "above": ("y", -1)}.get(found[2], ("y", 1))
        return [thing for thing in named(found[1]) if sign * (thing[axis] - anchor[axis]) > 0]
    if found := re.fullmatch(r"(biggest|largest|smallest) (\w+)", text):
        choose = min if found[1] == "smallest" else max
        return extremes(named(found[2]), "area", choose)
    place = "|".join(name for name in CORNERS if name != "center")
    for pattern in (
        rf"(?P<noun>\w+) in the (?P<cell>{place}|center|middle)(?: corner)?",
        rf"(?P<cell>{place}) (?P<noun>\w+)",
    ):
        if found := re.fullmatch(pattern, text):
            cell = CORNERS[found["cell"].replace("middle", "center")]
            sides = {"x": image["width"], "y": image["height"]}
            return [
                thing
                for thing in named(found["noun"])
                if tuple(int(3 * thing[axis] / sides[axis]) for axis in "xy") == cell
            ]
    for pattern, axis, choose in SIDES:
        if found := re.fullmatch(pattern, text):
            return extremes(named(next(filter(None, found.groups()))), axis, choose)
    assert re.fullmatch(r"\w+", text), f"not understood: {text}"
    return named(text)


def extremes(things, key, choose):
    best = choose(thing[key] for thing in things)
    return [thing for thing in things if thing[key] == best]


def test_each_expression_means_its_object_and_no_other(scenes):
    count = 0
    for ref in scenes.refs:
        image = scenes.images[ref["image_id"]]
        for sentence in ref["sentences"]:
            fitting = meant(sentence["sent"], scenes.objects[ref["image_id"]], image)
            assert [thing["id"] for thing in fitting] == [ref["ann_id"]], (image["file_name"], sentence)
            count += 1
    assert count > 4 * len(scenes.images)


def test_looking_is_needed(scenes):
    """Most expressions do not name a kind of which there is one object in the picture."""
    alone = total = 0
    for ref in scenes.refs:
        names = [thing["name"] for thing in scenes.objects[ref["image_id"]]]
        if len(names) > 1:
            for sentence in ref["sentences"]:
                total += 1
                alone += any(names.count(word) == 1 for word in sentence["tokens"][:2])
    assert alone / total < 0.6


def test_records_are_those_of_refcoco(scenes):
    known = set()
    for ref in scenes.refs:
        assert set(ref) == {
            "ref_id", "ann_id", "image_id", "category_id", "split", "file_name", "sent_ids", "sentences"
        }  # fmt: skip
        assert [sentence["sent_id"] for sentence in ref["sentences"]] == ref["sent_ids"]
        assert all(sentence["tokens"] == sentence["sent"].split() for sentence in ref["sentences"])
        assert known.isdisjoint(ref["sent_ids"])
        known.update(ref["sent_ids"])
    assert {ref["split"] for ref in scenes.refs} == {"train", "val", "test", "test_pairs"}
    instances = scenes._json("refcoco/instances.json")
    files = {image["id"]: image["file_name"] for image in instances["images"]}
    assert len(files) == 350 and all((scenes.folder / "images" / name).is_file() for name in files.values())
    assert all(files[ref["image_id"]] == ref["file_name"] for ref in scenes.refs)
