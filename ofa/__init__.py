"""OFA ("One For All", arXiv 2202.03052): one sequence-to-sequence transformer for vision, language and both."""

__all__ = ["OFA"]


def __getattr__(name: str):
    # Loaded on demand: torch takes seconds to import, and `ofa --help` needs none of it.
    if name == "OFA":
        from ofa.api import OFA

        return OFA
    raise AttributeError(f"module 'ofa' has no attribute '{name}'")
