"""CIFAR-10 and CIFAR-100 in the versions in which they are distributed."""

from __future__ import annotations

import io
import os
import pickle
import struct
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from torchvision.datasets import CIFAR100

from le_bench.errors import BenchError, MissingFileError, UnreadableFileError
from le_bench_plugins.datasets.cifar.pickles import read_pickle
from le_bench_plugins.datasets.cifar.plugin import CIFARDataset

COARSE = [f"things_{number}" for number in range(18)] + ["vehicles_1", "vehicles_2"]
FINE = [f"class_{number}" for number in range(100)]
NAMES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
PIXELS = np.random.default_rng(0).integers(0, 256, (10_000, 3072), dtype=np.uint8)
LABELS = np.random.default_rng(1).permutation(10_000) % 100


class Python2Pickler(pickle._Pickler):  # type: ignore[name-defined]
    """Writes texts and bytes as Python 2 wrote its strings, as in the distributed files."""

    dispatch: ClassVar[dict[type, Any]] = dict(pickle._Pickler.dispatch)  # type: ignore[attr-defined]

    def save_string(self, value: str | bytes) -> None:
        raw = value.encode() if isinstance(value, str) else value
        if len(raw) < 256:
            self.write(pickle.SHORT_BINSTRING + bytes([len(raw)]) + raw)
        else:
            self.write(pickle.BINSTRING + struct.pack("<i", len(raw)) + raw)
        self.memoize(value)

    dispatch[str] = dispatch[bytes] = save_string


def as_python_2(content: dict[str, Any]) -> bytes:
    """A pickle of protocol 2 that only numpy's old names and Python 2's strings occur in."""
    target = io.BytesIO()
    Python2Pickler(target, protocol=2).dump(content)
    return target.getvalue().replace(b"numpy._core", b"numpy.core")


def write_cifar100(folder: Path, dump: Callable[[dict[str, Any]], bytes] = as_python_2) -> Path:
    """The Python version of CIFAR-100, its test images alone."""
    folder.mkdir()
    (folder / "meta").write_bytes(dump({"fine_label_names": FINE, "coarse_label_names": COARSE}))
    content = {
        "data": PIXELS,
        "fine_labels": LABELS.tolist(),
        "coarse_labels": (LABELS // 5).tolist(),
        "filenames": [f"{number}.png" for number in range(10_000)],
        "batch_label": "testing batch 1 of 1",
    }
    (folder / "test").write_bytes(dump(content))
    return folder


def test_cifar_100_of_python(tmp_path: Path) -> None:
    """Pixels in rows of RGB, fine labels, 19 superclasses of which one unites the vehicles."""
    dataset = CIFARDataset(write_cifar100(tmp_path / "cifar-100-python")).load()

    assert dataset.name == "CIFAR-100 test"
    expected = PIXELS.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    assert np.array_equal(np.stack(dataset.images.read(range(10_000))), expected)
    assert dataset.labels is not None
    assert dataset.labels.tolist() == LABELS.tolist()
    assert dataset.classes[17] == "class 17"
    presence = dataset.label_presence
    assert presence is not None
    assert len(presence.concepts) == 119
    vehicles = presence.values[:, presence.concepts.index("vehicles")].bool().numpy()
    assert np.array_equal(vehicles, LABELS >= 90)
    assert {split: len(rows) for split, rows in dataset.splits.items()} == {
        "train": 7000,
        "val": 1000,
        "test": 2000,
    }


def test_torchvision_sees_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loader of torchvision, which unpickles, gives the same images and labels."""
    folder = write_cifar100(tmp_path / "cifar-100-python")
    monkeypatch.setattr(CIFAR100, "_check_integrity", lambda _: True)
    monkeypatch.setattr("torchvision.datasets.cifar.check_integrity", lambda *_: True)
    theirs = CIFAR100(str(tmp_path), train=False)

    ours = CIFARDataset(folder).load()

    assert np.array_equal(np.stack(ours.images.read(range(10_000))), theirs.data)
    assert ours.labels is not None
    assert ours.labels.tolist() == theirs.targets


def write_binary(binary: Path) -> Path:
    """The binary version of CIFAR-100, its test images alone."""
    binary.mkdir()
    (binary / "fine_label_names.txt").write_text("\n".join(FINE))
    (binary / "coarse_label_names.txt").write_text("\n".join(COARSE))
    labels = np.stack([LABELS // 5, LABELS], 1).astype(np.uint8)
    (binary / "test.bin").write_bytes(np.concatenate([labels, PIXELS], 1).tobytes())
    return binary


def test_binary_and_python_3_pickles_are_the_same(tmp_path: Path) -> None:
    """Three ways in which the same data may lie on a disk."""
    binary = write_binary(tmp_path / "cifar-100-binary")
    new = write_cifar100(tmp_path / "new", lambda content: pickle.dumps(content, protocol=2))
    old = write_cifar100(tmp_path / "old")

    loaded = [CIFARDataset(folder).load() for folder in (old, new, binary)]

    for dataset in loaded[1:]:
        assert dataset.vocabulary == loaded[0].vocabulary
        assert dataset.labels is not None
        assert dataset.labels.tolist() == LABELS.tolist()
        assert np.array_equal(dataset.images.read([9_999])[0], loaded[0].images.read([9_999])[0])


def test_cifar_10_and_its_train_images(tmp_path: Path) -> None:
    """Five batches in order; ten classes and no superclass."""
    (tmp_path / "batches.meta").write_bytes(as_python_2({"label_names": NAMES}))
    for number in range(1, 6):
        labels = ((LABELS + number) % 10).tolist()
        (tmp_path / f"data_batch_{number}").write_bytes(
            as_python_2({"data": PIXELS, "labels": labels})
        )

    dataset = CIFARDataset(tmp_path, part="train").load()

    assert dataset.labels is not None
    assert len(dataset.images) == 50_000
    assert dataset.labels[40_000:].tolist() == ((LABELS + 5) % 10).tolist()
    assert dataset.vocabulary == tuple(NAMES)


class Payload:
    """Runs a command when it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.canary}",)


class Changer:
    """Changes the class of arrays when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return np.ndarray, (), {"shape": 1}


def test_no_code_of_a_file_is_run(tmp_path: Path) -> None:
    """A pickle that names any other function or class is refused, and nothing happens."""
    canary = tmp_path / "canary"
    path = tmp_path / "meta"
    contents = [
        pickle.dumps({"label_names": Payload(canary)}, protocol=2),
        pickle.dumps({"label_names": Changer()}, protocol=2),
        pickle.dumps({"a": np.array([Payload(canary)], dtype=object)}, protocol=2),
        pickle.dumps({"a": np.arange(3)}, protocol=2),
        b"cnumpy\nndarray\n(dX\x01\x00\x00\x00aK\x01sb.",
        b"c_codecs\nencode\nN(dX\x01\x00\x00\x00aK\x01s\x86b.",
        b"cos\nsystem\n(S'true'\ntR.",
        b"",
        b"text",
        pickle.dumps([1, 2], protocol=2),
    ]

    for content in contents:
        path.write_bytes(content)
        with pytest.raises(UnreadableFileError, match=f"^{path}: this is no file of CIFAR"):
            read_pickle(path)
    assert not canary.exists()


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    """Any cut and any flipped byte gives the data or one message, never another exception."""
    path = tmp_path / "batch"
    whole = as_python_2({"data": PIXELS[:2], "labels": [1, 2]})
    for end in range(0, len(whole), 97):
        path.write_bytes(whole[:end])
        with pytest.raises(UnreadableFileError):
            read_pickle(path)
    for place in range(0, 200):
        spoilt = bytearray(whole)
        spoilt[place] ^= 0x55
        path.write_bytes(spoilt)
        with suppress(UnreadableFileError):
            read_pickle(path)


def test_a_number_of_images_other_than_cifars(tmp_path: Path) -> None:
    """Half a data set is refused."""
    (tmp_path / "batches.meta").write_bytes(as_python_2({"label_names": NAMES}))
    (tmp_path / "test_batch").write_bytes(as_python_2({"data": PIXELS[:9], "labels": [1] * 9}))

    with pytest.raises(BenchError) as caught:
        CIFARDataset(tmp_path).load()

    assert str(caught.value) == (
        f"{tmp_path}: 9 test images, but CIFAR has 10,000; unpack the archive again"
    )


def test_missing_folders_and_files(tmp_path: Path) -> None:
    """Say where the archive is; the archive's files belong together."""
    with pytest.raises(
        MissingFileError, match=r"no such folder; CIFAR is cifar-10-python\.tar\.gz"
    ):
        CIFARDataset(tmp_path / "no").load()
    with pytest.raises(MissingFileError, match=r"holds no version of CIFAR; CIFAR is"):
        CIFARDataset(tmp_path).load()
    (tmp_path / "batches.meta").write_bytes(as_python_2({"label_names": NAMES}))
    with pytest.raises(MissingFileError, match=r"test_batch: no such file; unpack the archive"):
        CIFARDataset(tmp_path).load()
    (tmp_path / "test_batch").write_bytes(as_python_2({"data": PIXELS, "labels": [1]}))
    with pytest.raises(UnreadableFileError, match="does not have 3072 bytes and a label for each"):
        CIFARDataset(tmp_path).load()


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("coarse_label_names.txt", None, "no such file"),
        ("coarse_label_names.txt", b"caf\xe9", "is no UTF-8 text (unexpected end of data)"),
        ("test.bin", None, "no such file"),
        ("test.bin", b"", "0 bytes are not a whole number of images of 3,074"),
    ],
)
def test_faulty_files_of_the_binary_version(
    tmp_path: Path, file: str, content: bytes | None, said: str
) -> None:
    """Each is named in one message."""
    path = write_binary(tmp_path / "cifar-100-binary") / file
    path.unlink()
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(BenchError) as caught:
        CIFARDataset(path.parent).load()

    assert str(caught.value) == f"{path}: {said}; unpack the archive again"


def test_a_folder_in_place_of_a_file(tmp_path: Path) -> None:
    """It cannot be read, whatever the version."""
    path = write_binary(tmp_path / "cifar-100-binary") / "test.bin"
    path.unlink()
    path.mkdir()

    with pytest.raises(UnreadableFileError) as caught:
        CIFARDataset(path.parent).load()

    assert str(caught.value) == f"{path}: cannot be read (Is a directory); unpack the archive again"
