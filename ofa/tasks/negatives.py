"""What is false about a picture: captions and answers for image-text matching."""

import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path

from ofa.data.table import Table
from ofa.errors import OFAError

FILES = ("all_captions.txt", "object.txt", "type2ans.json")
OTHER = "other"
"""Type of the answers that may stand in for any answer."""
MAX_DRAWS = 10


class Negatives:
    """Draws a caption that does not describe a picture, or an answer that does not answer a question.

    Args:
        captions: captions of any pictures.
        objects: names of objects.
        type2ans: answers by type of question; the type "other" must be there.

    Raises:
        OFAError: there is too little to choose from.
    """

    def __init__(self, captions: Sequence[str], objects: Sequence[str], type2ans: Mapping[str, Sequence[str]]):
        self.captions, self.objects, self.type2ans = captions, objects, dict(type2ans)
        self.ans2type = {answer: kind for kind, answers in self.type2ans.items() for answer in answers}
        if not len(captions):
            raise OFAError("image-text matching needs at least one caption to take negatives from")
        if len(objects) < 2:
            raise OFAError("image-text matching needs at least two object names to take negatives from")
        if len(self.type2ans.get(OTHER, ())) < 2:
            raise OFAError(f"type2ans must hold at least two answers of type {OTHER!r} to take negatives from")

    @classmethod
    def load(cls, folder: str | Path) -> "Negatives":
        """Read the original's `negative_sample` folder. Captions stay on disk; only the drawn ones are read."""
        folder = Path(folder)
        missing = [name for name in FILES if not (folder / name).is_file()]
        if missing:
            raise OFAError(f"{folder} lacks {', '.join(missing)}: build it with the pretraining tables")
        captions = Table(folder / FILES[0], ("caption",))
        objects = (folder / FILES[1]).read_text(encoding="utf-8").split("\n")
        return cls(_Column(captions), [name for name in objects if name], json.loads((folder / FILES[2]).read_bytes()))

    def caption(self, caption: str, objects: str, rng: random.Random) -> str:
        """A wrong caption: now and then (0.4) the true one with an object exchanged, else that of another picture.

        Where the exchange changes nothing, because the object's name does not stand in the caption, or the other
        picture has the same caption, another caption is drawn. The original calls the true caption wrong there.
        """
        if rng.random() > 0.6 and objects:
            named = rng.choice(objects.strip().split("&&"))
            changed = caption.replace(named, self._another(self.objects, named, rng))
            if changed != caption:
                return changed
        for _ in range(MAX_DRAWS):
            drawn = rng.choice(self.captions)
            if drawn != caption:
                return drawn
        return drawn

    def answer(self, answer: str, confidence: float, rng: random.Random) -> str:
        """A wrong answer, of the same type if the true one is likely to be right; numbers may be off by one."""
        chance = rng.random()
        kind = self.ans2type.get(answer, OTHER)
        if confidence <= chance + 0.1 or len(self.type2ans[kind]) < 2:
            kind = OTHER
        if kind == "how many" and answer.isdigit() and chance > 0.5:
            return str(int(answer) + rng.choice([-1, 1])) if answer != "0" else "1"
        return self._another(self.type2ans[kind], answer, rng)

    def _another(self, values: Sequence[str], taken: str, rng: random.Random) -> str:
        drawn = values[rng.randrange(len(values) - 1)]
        return values[-1] if drawn == taken else drawn


class _Column(Sequence[str]):
    """The only column of a table."""

    def __init__(self, table: Table):
        self.table = table

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, index: int) -> str:
        return self.table[index][self.table.columns[0]]
