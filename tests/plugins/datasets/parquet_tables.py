"""Parquet files of grey images in the layout of Hugging Face."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet

from le_bench.errors import BenchError
from le_bench_plugins.datasets.parquet.plugin import ParquetDataset

NAMES = ["cat", "dog", "ship"]
IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def picture(shade: int) -> bytes:
    """The file of a grey image."""
    target = io.BytesIO()
    Image.fromarray(np.full((3, 4, 3), shade, np.uint8)).save(target, "PNG")
    return target.getvalue()


def metadata(names: Sequence[str] = NAMES, column: str = "label") -> dict[str, str]:
    """What Hugging Face's library notes of a table of images."""
    features = {"image": {"_type": "Image"}, column: {"names": list(names), "_type": "ClassLabel"}}
    return {"huggingface": json.dumps({"info": {"features": features}})}


def write(
    path: Path,
    shades: Sequence[int],
    *,
    labels: Any = None,
    about: dict[str, str] | None = None,
    files: Sequence[bytes | None] | None = None,
    group: int = 3,
) -> Path:
    """A table of images in the layout of Hugging Face; labels go round unless given."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = [picture(shade) for shade in shades] if files is None else files
    cells = [{"bytes": each, "path": f"{n}.png"} for n, each in enumerate(content)]
    if labels is None:
        labels = pa.array([shade % 3 for shade in shades], pa.int64())
    table = pa.table({"image": pa.array(cells, IMAGE), "label": labels})
    table = table.replace_schema_metadata(metadata() if about is None else about)
    parquet.write_table(table, path, row_group_size=group)
    return path


def shades(source: ParquetDataset) -> list[int]:
    """The shade of each image in order."""
    images = source.load().images
    return [int(pixels[0, 0, 0]) for pixels in images.read(range(len(images)))]


def message(source: ParquetDataset) -> str:
    """With what loading is refused."""
    with pytest.raises(BenchError) as caught:
        source.load()
    return str(caught.value)
