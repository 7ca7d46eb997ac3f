"""Tokenizers, the vocabulary, and text cleaning."""

from ofa.text.tokenizer import Tokenizer

__all__ = ["Tokenizer"]
