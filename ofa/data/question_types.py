"""VQA v2's types of questions and answers, told from the texts: for data whose annotations do not say them."""

OTHER = "none of the above"
YES_NO = ("yes", "no", "有", "没有", "是", "不是")

# The 64 beginnings by which VQA v2 groups its questions (`mscoco_question_types.txt`).
QUESTION_TYPES = frozenset(
    """
    are|are the|are there|are there any|are these|are they|can you|could|do|do you|does the|does this|has|how|how many|
    how many people are|how many people are in|is|is he|is it|is that a|is the|is the man|is the person|is the woman|
    is there|is there a|is this|is this a|is this an|is this person|was|what|what animal is|what are|what are the|
    what brand|what color|what color are the|what color is|what color is the|what does the|what is|what is in the|
    what is on the|what is the|what is the color of the|what is the man|what is the name|what is the person|
    what is the woman|what is this|what kind of|what number is|what room is|what sport is|what time|what type of|
    where are the|where is the|which|who is|why|why is the
    """.replace("\n", "")
    .replace("    ", "")
    .split("|")
)
_LONGEST = max(len(kind.split()) for kind in QUESTION_TYPES)

CHINESE_TYPES = ("有没有", "几", "哪里", "什么位置", "什么", "吗")
"""What tells Chinese questions apart: whether, how many, where, what."""


def question_type(question: str) -> str:
    """The longest of the known beginnings that the question has, or of a Chinese one what it asks with."""
    if asked := next((word for word in CHINESE_TYPES if word in question), None):
        return asked
    words = question.lower().replace("?", " ").split()
    for length in range(min(_LONGEST, len(words)), 0, -1):
        if (beginning := " ".join(words[:length])) in QUESTION_TYPES:
            return beginning
    return OTHER


def answer_type(answer: str) -> str:
    """yes/no, number or other, by the answer that most people gave."""
    if answer in YES_NO:
        return "yes/no"
    return "number" if answer.replace(".", "", 1).isdigit() else "other"
