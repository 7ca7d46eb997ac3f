"""The types of VQA's questions and answers, by which its accuracy is broken down."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from components.tables import annotations, annotations_name
from ofa.data import question_types as texts
from ofa.data.sources.vqa import question_types
from ofa.errors import OFAError


class QuestionTypes:
    """Of the questions of a table: VQA v2's own, from the annotations beside it, or guessed from the texts.

    Args:
        tables: the table's files.

    Raises:
        OFAError: a file beside them holds no annotations.
    """

    def __init__(self, tables: Sequence[str | Path]):
        self._names = ", ".join(dict.fromkeys(map(annotations_name, tables)))
        found = [annotations(table) for table in tables]
        self.official = bool(found) and None not in found
        """Whether the types are VQA v2's own."""
        self._known: dict[str, tuple[str, str]] = {}
        for path in dict.fromkeys(found) if self.official else ():
            self._known |= question_types(path)

    @property
    def source(self) -> str:
        """Where the types are from, in words."""
        if self.official:
            return f"Types of questions and answers: those of {self._names}."
        return f"Types of questions and answers: guessed from the texts; no {self._names} lies beside the table."

    def of(self, uniq_id: str, question: str, answers: Mapping[str, float]) -> dict[str, str]:
        """`question_type` and `answer_type` of a question by the confidence of each answer.

        Raises:
            OFAError: the annotations do not have it.
        """
        if not self.official:
            usual = max(answers, key=answers.get)
            return {"question_type": texts.question_type(question), "answer_type": texts.answer_type(usual)}
        if uniq_id not in self._known:
            raise OFAError(
                f"{self._names}: has no annotation of question {uniq_id}, which is in the table beside it; put the "
                "annotations that belong to the table there, or none, to have the types guessed"
            )
        return dict(zip(("question_type", "answer_type"), self._known[uniq_id], strict=True))
