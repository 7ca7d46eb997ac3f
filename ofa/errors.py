"""The errors that are meant for users."""


class OFAError(Exception):
    """A problem that the user can solve.

    The message says what is wrong, where (file, row, key) and what to do. Programs print it as one line and exit
    with a code that is not zero; a traceback would add nothing.
    """


def nearest(name: str, known: list[str]) -> str:
    """A hint ", did you mean 'x'?" for a mistyped `name`, or an empty string when nothing known is close."""
    import difflib

    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f", did you mean '{close[0]}'?" if close else ""
