"""Loss changes before a linear head, from probabilities and the head's weights alone."""

from __future__ import annotations

import torch
from torch import Tensor

from le_bench.formulas.curves import HermiteTable, Polynomials, chebyshev_count, chebyshev_nodes
from le_bench.running.judged import Judged

NUMBERS = 2**24  # numbers of an intermediate tensor
ERROR = 1e-5  # of a polynomial, relative to its range
FARTHEST = 20.0  # change of logits up to which polynomials are made
STEEP = 30.0  # from where exp needs float64
TABLE_NODES = 129
TABLE_CLASSES = 100  # of more, polynomials are made quicker
NEAR_NOTHING = -0.99  # where log1p of a float32 sum loses digits


def exact_changes(judged: Judged, head_weights: Tensor, steps: Tensor) -> Tensor:
    """log sum_c p_c exp(s w_c) - s w_y for steps s (n, u) of units: float64.

    p are the probabilities of the whole network and w = head_weights (u, C) / T: what logits change
    by with a unit. The exponentials less one are summed, so that a small change keeps its digits.
    """
    w = head_weights.double() / judged.temperature
    log_p = judged.log_probabilities
    changes = torch.empty_like(steps)
    size = max(1, NUMBERS // (w.shape[1] * max(1, steps.shape[1])))
    for start in range(0, len(steps), size):
        some = slice(start, start + size)
        moves = steps[some, :, None] * w
        grown = (log_p[some, None] + moves).logsumexp(2)
        small = moves.abs().amax(2) < 0.5
        careful = torch.log1p((log_p[some, None].exp() * torch.expm1(moves)).sum(2))
        own = w[:, judged.labels[some]].T * steps[some]
        changes[some] = torch.where(small, careful, grown) - own
    return changes


def head_table(judged: Judged, head_weights: Tensor) -> HermiteTable:
    """The changes of `exact_changes` for all units, tabled once for all simulations of a layer.

    `TABLE_NODES` even steps reach from one that changes some logit by 20 less than another to one
    that changes it by 20 more; a step of 0 is a node. The error is about 1e-5 of that range.
    """
    weights = head_weights.float() / judged.temperature
    widths = weights.amax(1) - weights.amin(1)
    reach = FARTHEST / widths.clamp_min(1e-12)
    origin = judged.activations.float().nan_to_num(0.0, 0.0, 0.0)
    log_p = judged.log_probabilities.float()
    own = weights[:, judged.labels].T
    values, slopes = [], []
    for share in torch.linspace(-1, 1, TABLE_NODES).tolist():
        steps = (share * reach).expand_as(origin)
        values.append(exact_changes(judged, head_weights, steps.double()).float())
        chances = (log_p[:, None] + steps[..., None] * weights).softmax(2)
        slopes.append((chances * weights).sum(2) - own)  # the expected weight less the label's
    return HermiteTable.through(origin, reach, torch.stack(values, 2), torch.stack(slopes, 2))


def fits_table(judged: Judged, head_weights: Tensor) -> bool:
    """Whether a table of these units is small, and cheap enough to make."""
    numbers = 4 * TABLE_NODES * len(judged.rows) * len(head_weights)
    return numbers <= NUMBERS and head_weights.shape[1] <= TABLE_CLASSES


def series(
    judged: Judged,
    head_weights: Tensor,
    activations: Tensor,
    low: Tensor,
    high: Tensor,
) -> Polynomials:
    """The changes of `exact_changes` for steps in [low, high] (u,) as polynomials.

    Steps that change some logit by over 20 more than another are left to the straight lines.
    One product of probabilities (n, C) with exponentials (C, u G) gives all values at the nodes.
    """
    w = head_weights.double() / judged.temperature
    widths = w.amax(1) - w.amin(1)
    limit = FARTHEST / widths.clamp_min(1e-12)
    low = torch.maximum(low.double(), -limit)
    high = torch.minimum(torch.maximum(high, low + 1e-6 * (1 + low.abs())), limit)
    nodes = chebyshev_nodes(
        low, high, chebyshev_count(float((widths * (high - low)).max()) / 2, ERROR)
    )
    moves = nodes[:, :, None] * w  # (G, u, C)
    steep = float(moves.abs().max()) > STEEP
    kind = torch.float64 if steep else torch.float32
    p = judged.log_probabilities.exp() if steep else judged.probabilities
    sums = p @ torch.expm1(moves).to(kind).flatten(0, 1).T  # (n, G u)
    grown = torch.log1p(sums.clamp_min(NEAR_NOTHING)).reshape(len(p), *nodes.shape)
    label_weights = w[:, judged.labels].T.to(kind)  # (n, u)
    values = grown.transpose(0, 1) - nodes[:, None].to(kind) * label_weights
    lost = (sums < NEAR_NOTHING).reshape(len(p), *nodes.shape)
    if bool(lost.any()):
        image, node, unit = lost.nonzero(as_tuple=True)
        log_p = judged.log_probabilities
        size = max(1, NUMBERS // w.shape[1])
        for n, g, u in zip(*(torch.split(each, size) for each in (image, node, unit)), strict=True):
            right = (log_p[n] + moves[g, u]).logsumexp(1) - nodes[g, u] * w[u, judged.labels[n]]
            values[g, n, u] = right.to(kind)
    return Polynomials.through(activations, low.float(), high.float(), values)
