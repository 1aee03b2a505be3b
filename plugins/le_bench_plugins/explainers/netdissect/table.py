"""The table of a dissected layer, in the columns of the authors' `tally.csv`."""

from __future__ import annotations

import pandas as pd

from le_bench_plugins.explainers.netdissect.tally import DETECTOR, Tally


def tally_table(tally: Tally) -> pd.DataFrame:
    """One row a unit, in order: its best label, and the best label of each category.

    Columns: `unit` (from 1, as in the authors' files), `category`, `label`, `score`, then for each
    category `{category}-label`, `-truth` (pixels that bear the label), `-activation` (active pixels
    on images that count), `-intersect` and `-iou`. `score` is the largest iou. Where no label of a
    category overlaps, its label is missing, and its numbers are 0; the authors give an empty name
    and the numbers of another label.

    Law: nothing is filtered; see `summary` for how many units pass for detectors.
    """
    overlaps, columns = tally.best()
    found = columns >= 0
    units = overlaps.shape[0]
    names = pd.array([*tally.concepts, None], dtype="string")  # column -1 is the missing name
    categories = list(tally.categories)
    place = overlaps.argmax(1)
    scores = overlaps.amax(1)
    table: dict[str, object] = {
        "unit": range(1, units + 1),
        "category": [
            categories[k] if score > 0 else None
            for k, score in zip(place.tolist(), scores.tolist(), strict=True)
        ],
        "label": names[columns.gather(1, place[:, None])[:, 0].numpy()],
        "score": scores.numpy(),
    }
    for k, category in enumerate(categories):
        column, known = columns[:, k], found[:, k]
        index = column.clamp_min(0)
        table |= {
            f"{category}-label": names[column.numpy()],
            f"{category}-truth": (tally.truth[index] * known).numpy(),
            f"{category}-activation": (tally.active[:, k] * known).numpy(),
            f"{category}-intersect": (tally.both.gather(1, index[:, None])[:, 0] * known).numpy(),
            f"{category}-iou": overlaps[:, k].numpy(),
        }
    return pd.DataFrame(table)


def summary(table: pd.DataFrame) -> str:
    """How many units pass for detectors (overlap above 0.04), and of how many concepts.

    >>> summary(pd.DataFrame({"label": ["car", "sky", "car"], "score": [0.1, 0.02, 0.05]}))
    '2 of 3 units are detectors (IoU above 0.04), of 1 concepts'
    """
    detectors = table[table["score"] > DETECTOR]
    return (
        f"{len(detectors)} of {len(table)} units are detectors (IoU above {DETECTOR:g}), of "
        f"{detectors['label'].nunique()} concepts"
    )
