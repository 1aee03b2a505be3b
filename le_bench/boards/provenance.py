"""The last part of a board: what its numbers were made with."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence

from le_bench.boards import tables
from le_bench.boards.markdown import MISSING, number, page, shown, table
from le_bench.boards.records import Constants, Cost, LogitTemperature, Result

_KINDS = ("dataset", "model", "encoder", "explainer", "simulator", "scorer")


def provenance(results: Sequence[Result], costs: Sequence[Cost]) -> str:
    """Components with their options, environments, seeds, images and calibrations of results."""
    made = [result.made_by for result in results]
    seeds = ", ".join(str(seed) for seed in sorted({each.seed for each in made}))
    images = sorted(
        {", ".join(f"{split} {n:,}" for split, n in sorted(each.images.items())) for each in made}
    )
    environments = Counter(
        f"le_bench {shown(where.le_bench)}, Python {shown(where.python)}, "
        f"torch {shown(where.torch)}, device {shown(where.device)}"
        for where in (each.environment for each in made)
    )
    machines = sorted({f"{shown(cost.cpu)}, device {shown(cost.device)}" for cost in costs})
    origins = Counter(
        tables.origin_shown(each.origin) for each in results if each.origin is not None
    )
    lines = [
        *(f"- {each}: {count:,} results" for each, count in sorted(origins.items())),
        *(f"- {where}: {count:,} results" for where, count in sorted(environments.items())),
        f"- seed {seeds}",
        *(f"- probe images: {sizes}" for sizes in images if sizes),
        *(f"- seconds measured on {machine}" for machine in machines),
        f"- intervals of means: {'; '.join(sorted({r.score.interval for r in results}))}",
    ]
    return page(
        "\n".join(lines), _components(results), _calibrations(results), _temperatures(results)
    ).rstrip()


def _components(results: Sequence[Result]) -> str:
    found = {}
    for result in results:
        for kind, part in result.made_by.components.items():
            label = getattr(result.cell, kind, part.name)
            options = json.dumps(part.options, sort_keys=True, ensure_ascii=False)
            order = _KINDS.index(kind) if kind in _KINDS else len(_KINDS)
            key = (order, kind, label, part.name, part.version, part.distribution, options)
            found[key] = {
                "kind": shown(kind),
                "on this board": shown(label),
                "component": shown(part.name),
                "version": str(part.version),
                "from": shown(part.distribution),
                "options": shown(options) if part.options else MISSING,
            }
    return table([found[key] for key in sorted(found)]) if found else ""


def _calibrations(results: Sequence[Result]) -> str:
    found = {
        (each.encoder, each.a, each.b, each.source): {
            "encoder": shown(each.encoder),
            "a": number(each.a, 3),
            "b": number(each.b, 4),
            "source": shown(each.source),
        }
        for result in results
        for each in result.made_by.calibrations
        if isinstance(each, Constants)
    }
    if not found:
        return ""
    return page(
        "Calibration of presence, P = sigmoid(a · (cosine + b)):",
        table([found[key] for key in sorted(found)], right=["a", "b"]),
    ).rstrip()


def _temperatures(results: Sequence[Result]) -> str:
    found = {
        (each.model, each.value, each.source): {
            "model": shown(each.model),
            "temperature": number(each.value, 4),
            "cross-entropy": number(each.cross_entropy, 4),
            "at temperature 1": number(each.plain, 4),
            "source": shown(each.source),
        }
        for result in results
        for each in result.made_by.calibrations
        if isinstance(each, LogitTemperature)
    }
    if not found:
        return ""
    return page(
        "Temperature of target models' logits, and their cross-entropy on the val images:",
        table(
            [found[key] for key in sorted(found)],
            right=["temperature", "cross-entropy", "at temperature 1"],
        ),
    ).rstrip()
