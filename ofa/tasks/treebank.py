"""Penn Treebank tokens, in which the Gigaword corpus is written, from loosely spaced text.

The rules are those of the original's evaluation, which come from UniLM (arXiv 1905.03197), as far as they concern
lower-cased text.
"""

import string

_NAMES = {
    "(": "-lrb-",
    ")": "-rrb-",
    "[": "-lsb-",
    "]": "-rsb-",
    "{": "-lcb-",
    "}": "-rcb-",
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
}
_SUFFIXES = ("s", "d", "ll")


def treebank_tokens(text: str) -> str:
    """Space-separated tokens: brackets by name, quotes by side, contractions split, numbers and hyphens joined."""
    tokens, out = text.split(), []
    quotes = {'"': ["``", "''"], "'": ["`", "'"]}
    place, after_hyphen = 0, False
    while place < len(tokens):
        token, following = tokens[place], tokens[place + 1 :]
        joins_next, taken = False, 1
        last = out[-1] if out else ""
        if token in _NAMES:
            out.append(_NAMES[token])
        elif token == "'" and last.endswith("n") and following[:1] == ["t"]:
            out[-1:] = [last[:-1], "n't"]
            taken = 2
        elif token == "'" and following and following[0] in _SUFFIXES:
            out.append("'" + following[0])
            taken = 2
        elif token in quotes:
            out.append(quotes[token][0])
            quotes[token].reverse()
        elif token == "." and following[:2] == [".", "."]:
            out.append("...")
            taken = 3
        elif token == "," and following and _is_number(last) and _is_number(following[0]):
            out[-1] += "," + following[0]
            taken = 2
        elif token == "." and last.isdigit() and following and following[0].isdigit():
            out[-1] += "." + following[0]
            taken = 2
        elif token == "-" and following[:1] == ["-"]:
            out.append("--")
            taken = 2
        elif token == "-" and out and following and not _is_mark(last) and not _is_mark(following[0][0]):
            out[-1] += "-"
            joins_next = True
        elif after_hyphen and not _is_mark(token[0]):
            out[-1] += token
        else:
            out.append(token)
        place, after_hyphen = place + taken, joins_next
    return " ".join(out)


def _is_number(token: str) -> bool:
    return token != "" and all(c.isdigit() or c == "," for c in token)


def _is_mark(text: str) -> bool:
    return text in string.punctuation
