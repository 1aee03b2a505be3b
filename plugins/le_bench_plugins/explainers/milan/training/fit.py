"""How the language model and the decoder learn: by the authors' losses and stopping rule."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from sacrebleu import corpus_bleu
from torch import Tensor, nn
from torch.nn import functional as F

from le_bench_plugins.explainers.milan.decoder import Decoder, LanguageModel
from le_bench_plugins.explainers.milan.training.annotated import Annotated
from le_bench_plugins.explainers.milan.vocabulary import Vocabulary

Log = list[dict[str, Any]]


@dataclass(frozen=True)
class Schedule:
    """When to stop, and how fast to go; batches and patience are the authors'."""

    learning_rate: float = 1e-3
    max_epochs: int = 100
    patience: int = 4
    decoder_batch: int = 64
    language_batch: int = 128


def encode_all(vocabulary: Vocabulary, texts: Sequence[str], longest: int = 15) -> Tensor:
    """Token numbers (B, T) of texts, T the length of the longest with its stop."""
    numbers = torch.tensor([vocabulary.encode(text, longest) for text in texts])
    filled = (numbers != vocabulary.padding).any(0)
    return numbers[:, : int(filled.sum())]


def language_loss(model: LanguageModel, tokens: Tensor, vocabulary: Vocabulary) -> Tensor:
    """Mean negative log-likelihood a token, in nats, of texts (B, T); padding does not count."""
    first = tokens.new_full((len(tokens), 1), vocabulary.start)
    scores = model(torch.cat([first, tokens[:, :-1]], 1))
    return F.nll_loss(scores.transpose(1, 2), tokens, ignore_index=vocabulary.padding)


def decoder_loss(
    decoder: Decoder, features: Tensor, tokens: Tensor, vocabulary: Vocabulary, weight: float = 1.0
) -> Tensor:
    """Negative log-likelihood a token, plus `weight` times the attention penalty.

    The penalty is the mean of (1 - sum over time of the attention on an exemplar)^2: each one is
    to be looked at about once (Xu et al. 2015, "Show, attend and tell", equation 14).
    """
    sight = decoder.look(features)
    state = decoder.begin(sight, with_language=False)
    last = tokens.new_full((len(tokens), 1), vocabulary.start)
    scores, attentions = [], []
    for place in range(tokens.shape[1]):
        score, attention, state = decoder.step(sight, last, state)
        scores.append(score[:, 0])
        attentions.append(attention[:, 0])
        last = tokens[:, place : place + 1]
    loss = F.nll_loss(torch.stack(scores, 2), tokens, ignore_index=vocabulary.padding)
    looked = torch.stack(attentions, 1).sum(1)
    return loss + weight * ((1 - looked) ** 2).mean()


def bleu(said: Sequence[str], annotations: Sequence[Sequence[str]]) -> float:
    """Corpus BLEU in [0, 100] of one text a unit against several; case does not count."""
    most = max(len(texts) for texts in annotations)
    references = [  # a unit with fewer annotations repeats its last one, which changes nothing
        [texts[min(number, len(texts) - 1)].lower() for texts in annotations]
        for number in range(most)
    ]
    return float(corpus_bleu([text.lower() for text in said], references).score)


def fit_language_model(
    model: LanguageModel, vocabulary: Vocabulary, train: Tensor, val: Tensor, schedule: Schedule
) -> Log:
    """Learn from texts (n, T) until the loss on others no longer falls; the best weights stay."""

    def measure() -> float:
        return -float(language_loss(model, val, vocabulary))

    def batches() -> Iterator[Tensor]:
        for rows in torch.split(torch.randperm(len(train)), schedule.language_batch):
            yield language_loss(model, train[rows], vocabulary)

    return _fit(model, list(model.parameters()), batches, measure, schedule)


def fit_decoder(
    decoder: Decoder,
    vocabulary: Vocabulary,
    train: Annotated,
    val: Annotated,
    schedule: Schedule,
) -> Log:
    """Learn from annotated units until the loss on others no longer falls; the best stays.

    Each annotation is a sample. The language model does not change. Deviation: the authors stop by
    greedy BLEU, which they count in runs of four words; on short texts it jumps.
    """
    units, tokens = _samples(train, vocabulary)
    other_units, other_tokens = _samples(val, vocabulary)

    def measure() -> float:
        shown = val.features[other_units]
        return -float(decoder_loss(decoder, shown, other_tokens, vocabulary, weight=0))

    def batches() -> Iterator[Tensor]:
        for rows in torch.split(torch.randperm(len(units)), schedule.decoder_batch):
            shown = train.features[units[rows]]
            yield decoder_loss(decoder, shown, tokens[rows], vocabulary)

    own = [value for name, value in decoder.named_parameters() if not name.startswith("lm.")]
    return _fit(decoder, own, batches, measure, schedule)


def _samples(annotated: Annotated, vocabulary: Vocabulary) -> tuple[Tensor, Tensor]:
    """The unit (n,) and the tokens (n, T) of each annotation."""
    pairs = [(unit, text) for unit, said in enumerate(annotated.annotations) for text in said]
    units = torch.tensor([unit for unit, _ in pairs])
    return units, encode_all(vocabulary, [text for _, text in pairs])


def _fit(
    module: nn.Module,
    parameters: Sequence[nn.Parameter],
    batches: Callable[[], Iterator[Tensor]],
    measure: Callable[[], float],
    schedule: Schedule,
) -> Log:
    """Epochs of AdamW until `measure` has not risen for `patience` of them.

    Deviation: the best weights are copied. The authors keep references to weights that go on
    changing, so theirs are the last ones.
    """
    optimizer = torch.optim.AdamW(parameters, lr=schedule.learning_rate)
    best, best_state, waited = -torch.inf, copy.deepcopy(module.state_dict()), 0
    log: Log = []
    for epoch in range(1, schedule.max_epochs + 1):
        module.train()
        losses = []
        for loss in batches():
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            losses.append(float(loss.detach()))
        module.eval()
        with torch.no_grad():
            value = measure()
        log.append(
            {
                "epoch": epoch,
                "loss": round(sum(losses) / len(losses), 4),
                "measure": round(value, 3),
            }
        )
        print(type(module).__name__, log[-1], flush=True)
        if value > best:
            best, best_state, waited = value, copy.deepcopy(module.state_dict()), 0
        else:
            waited += 1
        if waited >= schedule.patience:
            break
    module.load_state_dict(best_state)
    return log
