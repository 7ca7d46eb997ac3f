"""A decoder small enough to enumerate all of its outputs."""

import itertools

import torch

from ofa.generate.columns import BOS, EOS, PAD, Columns


class ToyDecoder:
    """Logits depend on the sentence and on the two newest tokens. Keeps its own history, so that a search that reorders
    or drops rows wrongly gets wrong logits."""

    def __init__(self, sentences, beam, vocabulary=8, output_ids=None, seed=0, scale=2.0):
        generator = torch.Generator().manual_seed(seed)
        self.newest = scale * torch.randn(vocabulary, vocabulary, generator=generator)
        self.before = scale * torch.randn(vocabulary, vocabulary, generator=generator)
        # One row a sentence, whatever the batch: sentence i of a larger batch is sentence i of a smaller one.
        self.bias = scale * torch.randn(64, vocabulary, generator=generator)
        self.sentences = torch.as_tensor(sentences)
        self.beam = beam
        self.vocabulary = vocabulary
        self.output_ids = output_ids
        self.columns = Columns.of(output_ids, vocabulary)
        self.history = torch.full((len(self.sentences) * beam, 1), PAD)
        self.steps = self.rows = 0

    def logits(self, sentence, before, newest):
        full = self.bias[sentence] + self.newest[newest] + self.before[before]
        return full if self.output_ids is None else full[..., self.output_ids]

    def read(self, tokens):
        repeated = tokens.repeat_interleave(self.beam, dim=0)
        self.history = torch.cat([self.history, repeated], dim=1)
        before = torch.cat([torch.full_like(tokens[:, :1], PAD), tokens[:, :-1]], dim=1)
        return self.logits(self.sentences.unsqueeze(1), before, tokens)

    def restrict(self, ids):
        self.output_ids = ids if self.output_ids is None else ids[torch.isin(ids, self.output_ids)]
        self.columns = Columns.of(self.output_ids, self.vocabulary)

    def step(self, tokens):
        self.steps += 1
        self.rows += len(tokens)
        self.history = torch.cat([self.history, tokens[:, None]], dim=1)
        return self.logits(self.sentences.repeat_interleave(self.beam), *self.history[:, -2:].unbind(1))

    def reorder(self, rows):
        self.history = self.history[rows]

    def keep(self, sentences):
        self.sentences = self.sentences[sentences]
        self.history = self.history.view(-1, self.beam, self.history.shape[1])[sentences].flatten(0, 1)

    def log_probs(self, sentence, tokens, allowed=None, temperature=1.0):
        """Log-probability of each of `tokens` (no begin token) by a plain loop.

        `allowed(prefix)` gives the ids over which to normalize, None all that are scored.
        """
        history, result = [PAD, BOS], []
        for i, token in enumerate(tokens):
            logits = self.bias[sentence] + self.newest[history[-1]] + self.before[history[-2]]
            ids = range(self.vocabulary) if self.output_ids is None else self.output_ids.tolist()
            if allowed is not None:
                ids = allowed(tokens[:i])
            chosen = logits[list(ids)] / temperature
            result.append(float(logits[token] / temperature - chosen.logsumexp(0)))
            history.append(token)
        return result

    def outputs(self, longest, shortest=1, ids=None):
        """Every output of at most `longest` tokens and the end token."""
        ids = [i for i in (ids or range(self.vocabulary)) if i not in (PAD, EOS)]
        for length in range(shortest, longest + 1):
            for tokens in itertools.product(ids, repeat=length):
                yield (*tokens, EOS)
