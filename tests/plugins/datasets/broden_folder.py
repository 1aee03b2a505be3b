"""Small folders in the format of Broden."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

# number, name, and for each category the coverage in units of whole images
LABELS: list[tuple[int, str, dict[str, float]]] = [
    (1, "blue-c", {"color": 40.0}),
    (2, "red-c", {"color": 12.0}),
    (3, "tree", {"object": 20.0}),
    (300, "glass", {"object": 1.5, "material": 9.0}),
    (301, "pane", {"object": 2.0, "part": 2.0}),
    (302, "wheel", {"part": 3.0}),
    (303, "art_gallery-indoor-s", {"scene": 4.0}),
    (304, "street-s", {"scene": 5.0}),
    (305, "polka-dotted", {"texture": 2.0}),
]
CATEGORIES = ["color", "object", "part", "material", "scene", "texture"]
SIZE = (6, 8)


def write_csv(path: Path, header: str, rows: list[str]) -> None:
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")


def write_map(path: Path, numbers: np.ndarray) -> None:
    """A label map as a PNG file: number = red + 256 * green."""
    pixels = np.stack([numbers % 256, numbers // 256, np.full_like(numbers, 9)], -1)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.astype(np.uint8)).save(path)


def label_map(row: int, layer: int) -> np.ndarray:
    """Blocks of labels that depend on the row; some pixels have none."""
    random = np.random.default_rng(100 * row + layer)
    numbers = [0, *(number for number, _, covered in LABELS if "scene" not in covered)]
    return random.choice(numbers, SIZE)


def write_broden(folder: Path, num_images: int = 12) -> Path:
    """A folder of images at twice the size of their label maps.

    Every image has a colour map. Objects are mapped in even rows, parts in two layers in every
    third, materials in row 1. The scene is a number: 304, or two at once, or the 0 of dirty rows.
    Row 5 has no label but its colours.
    """
    rows = []
    for row in range(num_images):
        image = np.random.default_rng(row).integers(0, 256, (12, 16, 3), dtype=np.uint8)
        (folder / "images" / "ade").mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / "images" / f"ade/{row}.jpg")
        cells = {"color": [f"ade/{row}_color.png"]}
        if row != 5:
            cells["object"] = [f"ade/{row}_object.png"] if row % 2 == 0 else []
            cells["part"] = [f"ade/{row}_part_{i}.png" for i in (1, 2)] if row % 3 == 0 else []
            cells["material"] = ["ade/1_material.png"] if row == 1 else []
            cells["scene"] = [["304"], ["303", "304"], ["0"]][row % 3]
            cells["texture"] = ["305"] if row == 7 else []
        maps = [item for category in CATEGORIES for item in cells.get(category, []) if "." in item]
        for layer, file in enumerate(maps):
            write_map(folder / "images" / file, label_map(row, layer))
        columns = ",".join(";".join(cells.get(category, [])) for category in CATEGORIES)
        rows.append(f"ade/{row}.jpg,train,12,16,{SIZE[0]},{SIZE[1]},{columns}")
    write_csv(folder / "index.csv", f"image,split,ih,iw,sh,sw,{','.join(CATEGORIES)}", rows)
    write_csv(folder / "category.csv", "name,first,last", [f"{name},1,9" for name in CATEGORIES])
    write_csv(
        folder / "label.csv",
        "number,name,category,frequency,coverage,syns",
        [
            f"{number},{name},{';'.join(f'{c}(3)' for c in covered)},3,1.0,"
            for number, name, covered in LABELS
        ],
    )
    for category in CATEGORIES:
        known = [(n, name, covered[category]) for n, name, covered in LABELS if category in covered]
        write_csv(
            folder / f"c_{category}.csv",
            "code,number,name,frequency,coverage",
            [f"{code},{n},{name},3,{share}" for code, (n, name, share) in enumerate(known, 1)],
        )
    return folder
