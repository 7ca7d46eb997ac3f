"""Outputs of the network: beam search, sampling, allowed answers, candidate scoring."""

from ofa.generate.batch import generate
from ofa.generate.candidates import score_candidates
from ofa.generate.config import SearchConfig, SearchError
from ofa.generate.finished import Hypothesis
from ofa.generate.likelihood import log_likelihood
from ofa.generate.trie import Trie

__all__ = ["Hypothesis", "SearchConfig", "SearchError", "Trie", "generate", "log_likelihood", "score_candidates"]
