"""The settings of a search."""

from dataclasses import dataclass

from ofa.errors import OFAError


class SearchError(OFAError, ValueError):
    """A search was asked for something that it cannot do."""


@dataclass(frozen=True, kw_only=True)
class SearchConfig:
    """How `ofa.generate.generate` looks for the best output. The defaults are those of the original's captioning.

    Lengths count the tokens of the output up to the end token, without the begin token; a decoder prompt counts too.
    """

    beam: int = 5
    """Hypotheses kept a sentence, and the number returned. 1 is greedy search; with `sampling`, the number drawn."""

    max_len_a: float = 0.0
    """An output has at most int(max_len_a * source tokens + max_len_b) tokens before its end token. Source tokens are
    those of the sentence itself (begin and end included, padding not), so that a sentence's result does not depend on
    what else is in its batch. The original counts the padded batch."""

    max_len_b: int = 16
    """See `max_len_a`."""

    min_len: int = 1
    """The end token is not allowed before this many tokens."""

    length_penalty: float = 1.0
    """A hypothesis of L tokens (end token included) scores its log-probability divided by L ** length_penalty: below 1
    favors short outputs, above 1 long ones. Without effect when `unnormalized`."""

    unnormalized: bool = False
    """Score by the plain sum of log-probabilities."""

    unk_penalty: float = 0.0
    """Subtracted from the log-probability of the unknown token."""

    temperature: float = 1.0
    """Divides the logits: above 1 flattens the distribution, below 1 sharpens it."""

    no_repeat_ngram: int = 0
    """No sequence of this many tokens occurs twice in an output (begin token and decoder prompt included); 0 is off."""

    constraint_range: tuple[int, int] | None = None
    """Only ids first <= id < last and the four special tokens 0..3 are allowed, such as (50265, 58457) for image codes
    or (58457, 59457) for coordinates. It does not bind the decoder prompt. Not together with a trie."""

    zero_shot: bool = False
    """Apply the trie or range after the softmax: log-probabilities stay those of the open vocabulary, where otherwise
    they are renormalized over what is allowed."""

    sampling: bool = False
    """Draw `beam` independent outputs a sentence from the model's distribution instead of searching."""

    top_k: int = 0
    """Sample among this many most probable tokens; 0 means all."""

    top_p: float = 1.0
    """Sample among the most probable tokens that together just exceed this probability (nucleus sampling,
    arXiv 1904.09751); with `top_k`, after it. 1 means all."""

    diverse_groups: int = 1
    """Diverse beam search (arXiv 1610.02424): the beam is split into this many groups, each of which is penalized for
    tokens that the groups before it chose at the same step. 1 is off; must divide `beam`."""

    diversity: float = 0.5
    """Penalty on a token's log-probability for each earlier group's candidate that chose it (Hamming diversity)."""

    def __post_init__(self):
        for name, lowest in (("beam", 1), ("max_len_b", 0), ("min_len", 0), ("no_repeat_ngram", 0), ("top_k", 0)):
            value = getattr(self, name)
            if not isinstance(value, int) or value < lowest:
                raise SearchError(f"{name} must be a whole number of at least {lowest}, got {value!r}")
        if self.max_len_a < 0:
            raise SearchError(f"max_len_a must not be negative, got {self.max_len_a!r}")
        if self.max_len_a == 0 and self.min_len > self.max_len_b:
            raise SearchError(f"min_len {self.min_len} is larger than max_len_b {self.max_len_b}: no output is allowed")
        if not self.temperature > 0:
            raise SearchError(f"temperature must be above 0, got {self.temperature!r}")
        if not 0 < self.top_p <= 1:
            raise SearchError(f"top_p must lie in (0, 1], got {self.top_p!r}")
        if not self.sampling and (self.top_k or self.top_p < 1):
            raise SearchError("top_k and top_p need sampling=True")
        if self.diverse_groups < 1 or self.beam % self.diverse_groups:
            raise SearchError(f"diverse_groups {self.diverse_groups!r} must divide beam {self.beam}")
        if self.sampling and self.diverse_groups > 1:
            raise SearchError("diverse_groups belongs to beam search: set it to 1 with sampling=True")
        if self.constraint_range is not None:
            object.__setattr__(self, "constraint_range", tuple(self.constraint_range))
            if len(self.constraint_range) != 2 or not 0 <= self.constraint_range[0] < self.constraint_range[1]:
                raise SearchError(f"constraint_range must be (first, last), first < last, got {self.constraint_range}")
