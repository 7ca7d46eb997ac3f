"""The loop of a search, over any decoder that makes one step at a time.

Shapes: B sentences, M hypotheses each, rows in the order (b, m); K columns of the logits; T the largest number of
tokens of an output, its end token included.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import torch
from torch import BoolTensor, LongTensor, Tensor
from torch.nn.utils.rnn import pad_sequence

from ofa.generate.choose import best, draw
from ofa.generate.columns import BOS, EOS, PAD, Columns
from ofa.generate.config import SearchConfig, SearchError
from ofa.generate.finished import Finished, Hypothesis
from ofa.generate.rules import NEVER, Rules, in_range
from ofa.generate.trie import Trie


class Decoder(Protocol):
    """What a search needs of a network that holds B * M hypotheses."""

    columns: Columns
    """What the logits score."""

    def read(self, tokens: LongTensor) -> Tensor:
        """Give all hypotheses the tokens (B, P) of their sentence, before the first step; logits (B, P, K) of what may
        follow each."""

    def step(self, tokens: LongTensor) -> Tensor:
        """Append tokens (B * M,) to the hypotheses and give the logits (B * M, K), float32, of what may follow."""

    def reorder(self, rows: LongTensor) -> None:
        """Let row i go on from what row rows[i] was, (B * M,); rows stay within their sentence."""

    def keep(self, sentences: LongTensor) -> None:
        """Go on with these sentences (B',) alone."""

    def restrict(self, ids: LongTensor) -> None:
        """Score these ids (sorted), as far as they are scored, alone from now on."""


class Sentences(NamedTuple):
    """What belongs to each sentence that is still searched."""

    index: LongTensor
    """(B,) place in the whole batch."""
    max_length: LongTensor
    """(B,) largest number of tokens before the end token."""
    prompt: LongTensor | None
    """(B, P) decoder prompts without the begin token, padded right with 1."""
    codes: BoolTensor | None
    """(B,) True where the output consists of image codes."""


class Live(NamedTuple):
    """The hypotheses that are being extended."""

    tokens: LongTensor
    """(B, M, T) ids, begin token first."""
    total: Tensor
    """(B, M) log-probability; -inf in places that hold no hypothesis."""
    totals: Tensor
    """(B, M, T) log-probability after each token."""
    node: LongTensor | None
    """(B, M) place in the trie."""


class Extended(NamedTuple):
    """One step of all hypotheses."""

    live: Live
    parent: LongTensor
    """(B, M) hypothesis that each of the live ones goes on from."""
    newest: LongTensor
    """(B * M,) their new tokens."""
    ended: BoolTensor
    """(B, M) True where one of the M best candidates ends."""
    ended_parent: LongTensor
    """(B, M) hypothesis that it extends."""
    ended_score: Tensor
    """(B, M) its log-probability."""


def extend(
    rules: Rules,
    logits: Tensor,
    live: Live,
    position: Tensor,
    sentences: Sentences,
    prompting: bool,
    chance: Tensor | None = None,
) -> Extended:
    """Choose what the hypotheses go on with. Tensors only, of unchanging shape: `torch.compile` takes it whole.

    Args:
        rules: what may come next, with the settings of the search.
        logits: (B * M, K) float32, may be overwritten.
        live: the hypotheses.
        position: () number of tokens generated so far.
        sentences: their limits and prompts.
        prompting: some sentence may still be in its decoder prompt.
        chance: (B, M) uniform random numbers for sampling.
    """
    config, columns = rules.config, rules.columns
    batch, beam, _ = live.tokens.shape
    last = position >= sentences.max_length
    codes = None if sentences.codes is None else sentences.codes.repeat_interleave(beam)
    prompt = None
    if prompting:
        prompt = sentences.prompt.index_select(1, position.view(1)).squeeze(1)
        prompt = torch.where(last | (prompt == PAD), -1, prompt)
    scored = rules(
        logits,
        live.tokens.flatten(0, 1),
        None if live.node is None else live.node.flatten(),
        position,
        last.repeat_interleave(beam),
        codes,
        None if prompt is None else prompt.repeat_interleave(beam),
    )
    if config.sampling:
        found = draw(scored, live.total, config, columns, chance)
    else:
        found = best(scored, live.total, config, columns)
    score, token, column, parent = found
    if prompting and not config.sampling:
        # A prompt that holds the end token is itself the output, M times, as in the original.
        whole = (prompt == EOS).unsqueeze(1)
        score, parent = torch.where(whole, score[:, :1], score), torch.where(whole, parent[:, :1], parent)
        token = torch.where(whole, EOS, token)

    ends = (token == EOS) & (score > NEVER)
    if config.sampling:
        going = parent
    else:
        going = ends.byte().sort(dim=1, stable=True).indices[:, :beam]
    score_on = score.masked_fill(ends, NEVER).gather(1, going)
    parent_on, token_on = parent.gather(1, going), token.gather(1, going)
    history = parent_on.unsqueeze(2).expand(live.tokens.shape)
    node = live.node
    if node is not None:
        node = node.gather(1, parent_on)
        further = rules.trie.advance(node, column.gather(1, going))
        node = further if prompt is None else torch.where((prompt < 0).unsqueeze(1), further, node)
    return Extended(
        Live(
            live.tokens.gather(1, history).index_copy(2, position.view(1) + 1, token_on.unsqueeze(2)),
            score_on,
            live.totals.gather(1, history).index_copy(2, position.view(1), score_on.unsqueeze(2)),
            node,
        ),
        parent_on,
        token_on.flatten(),
        ends[:, :beam],
        parent[:, :beam],
        score[:, :beam],
    )


def search(
    decoder: Decoder,
    config: SearchConfig,
    max_length: LongTensor,
    *,
    trie: Trie | None = None,
    prompt: LongTensor | None = None,
    codes: BoolTensor | None = None,
    seeds: Sequence[int | None] | None = None,
    extend: Callable[..., Extended] = extend,
) -> list[list[Hypothesis]]:
    """Find the outputs of B sentences.

    This is fairseq's beam search as OFA uses it: at each step the 2 M best extensions of a sentence are taken; those
    among the best M that end are finished, and the best M that do not end go on. A sentence is done when M hypotheses
    are finished or its largest length is reached. While a decoder prompt is forced, a sentence has one hypothesis; the
    prompt's log-probabilities count. A sentence whose trie offers fewer than M outputs gives as many as there are.

    Args:
        decoder: the network, holding B * M hypotheses of nothing.
        config: the settings.
        max_length: (B,) largest number of tokens before the end token.
        trie: the outputs that are allowed, after the prompt; None for all.
        prompt: (B, P) decoder prompts without the begin token, padded right with 1.
        codes: (B,) True for sentences whose output consists of image codes.
        seeds: (B,) of what is drawn for each sentence; None, one or all, takes torch's own randomness.
        extend: this module's function, or a compiled version of it.

    Returns:
        For each sentence up to M hypotheses, best first.

    Raises:
        SearchError: the trie holds ids that the network does not score, or there is a range beside it.
    """
    if trie is not None and config.constraint_range is not None:
        raise SearchError("a search takes a trie or a constraint_range, not both: take one away")
    device, batch, beam = max_length.device, len(max_length), config.beam
    limits = max_length.tolist()
    longest = max(limits)
    sentences = Sentences(torch.arange(batch, device=device), max_length, prompt, codes)
    finished = Finished(batch, beam, longest + 1, device)
    chances = _chances(seeds or [None] * batch, limits, beam).to(device) if config.sampling else None
    live = _start(batch, config, longest + 2, trie is not None, device)
    begin = prompt_end = 0
    if prompt is not None:
        live, begin = _read(decoder, config, live, sentences)
        prompt_end = max(begin, prompt.shape[1])
    newest = live.tokens[:, :, begin].flatten()
    position = torch.full((), begin, device=device)
    for step in range(begin, longest + 1):
        prompting = step < prompt_end
        if step in (begin, prompt_end):
            if not prompting:
                _narrow(decoder, config, trie, device)
            rules = Rules(config, decoder.columns, trie, device)
        before, logits = live, decoder.step(newest)
        chance = None if chances is None else chances[sentences.index, step]
        live, parent, newest, *ended = extend(rules, logits, live, position, sentences, prompting, chance)
        finished.add(*ended, sentences.index, before.tokens[:, :, : step + 1], before.totals[:, :, :step])
        # The one place in a step where the host waits for the device.
        done = ((finished.count[sentences.index] >= beam) | (live.total == NEVER).all(1)).tolist()
        if all(done):
            break
        # Leaving costs a copy of the decoder's state, so sentences leave together.
        if 4 * sum(done) >= len(done):
            kept = torch.tensor([row for row, over in enumerate(done) if not over])
            kept = kept.to(device, non_blocking=True)
            decoder.keep(kept)
            sentences, live = (type(s)(*(None if x is None else x[kept] for x in s)) for s in (sentences, live))
            parent, newest = parent[kept], newest.view(-1, beam)[kept].flatten()
        if beam > 1 and not config.sampling:
            decoder.reorder((parent + beam * torch.arange(len(parent), device=device).unsqueeze(1)).flatten())
        position = position + 1
    return finished.hypotheses(config)


def _read(decoder: Decoder, config: SearchConfig, live: Live, sentences: Sentences) -> tuple[Live, int]:
    """Read what all prompts have in length at once: the hypotheses after it, and how many tokens that were."""
    prompt = sentences.prompt
    goes_on = (prompt != PAD) & (prompt != EOS)
    common = int(torch.minimum(goes_on.long().cumprod(1).sum(1), sentences.max_length).min())
    if not common:
        return live, 0
    tokens = prompt[:, :common]
    logits = decoder.read(torch.cat([live.tokens[:, 0, :1], tokens[:, :-1]], dim=1))
    log_probs = (logits / config.temperature).log_softmax(2)
    totals = decoder.columns.pick(log_probs, tokens).cumsum(1)
    live.tokens[:, :, 1 : common + 1] = tokens.unsqueeze(1)
    live.totals[:, :, :common] = totals.unsqueeze(1)
    return live._replace(total=live.total + totals[:, -1:]), common


def _narrow(decoder: Decoder, config: SearchConfig, trie: Trie | None, device: torch.device) -> None:
    """Leave out of the logits what the trie or range would mask before the softmax, if that is much."""
    if config.zero_shot or (trie is None and config.constraint_range is None):
        return
    if trie is not None:
        ids = trie.edge_id.unique().to(device)
    else:
        ids = decoder.columns.id_of(torch.arange(decoder.columns.size, device=device))
        ids = ids[in_range(ids, config.constraint_range)]
    if 2 * len(ids) <= decoder.columns.size:
        decoder.restrict(ids)


def _chances(seeds: Sequence[int | None], limits: Sequence[int], beam: int) -> Tensor:
    """(B, T, M) uniform random numbers. Those of a sentence depend on its seed alone, not on its batch or device."""
    rows = []
    for seed, length in zip(seeds, limits, strict=True):
        generator = None if seed is None else torch.Generator().manual_seed(seed)
        rows.append(torch.rand(length + 1, beam, generator=generator))
    return pad_sequence(rows, batch_first=True)


def _start(batch: int, config: SearchConfig, length: int, trie: bool, device: torch.device) -> Live:
    """Hypotheses of nothing. All are alike, so a beam search begins with one of each group alone."""
    tokens = torch.full((batch, config.beam, length), PAD, device=device)
    tokens[:, :, 0] = BOS
    total = torch.zeros(batch, config.beam, device=device)
    if not config.sampling:
        total[:, config.diverse_groups :] = NEVER
    node = torch.zeros(batch, config.beam, dtype=torch.long, device=device) if trie else None
    return Live(tokens, total, torch.zeros(batch, config.beam, length, device=device), node)
