"""The store gives back exactly what was written, or nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from le_bench.errors import BenchError
from le_bench.running.store import Artifact, Store

KEY = "ab" + "0" * 62


def filled(folder: Path) -> tuple[Store, Path]:
    store = Store(folder)
    artifact = Artifact({"values": torch.arange(6.0).reshape(2, 3)}, {"note": "x"}, 1.5)
    store.write("explain", KEY, artifact, "explain something")
    return store, folder / "explain" / "ab" / KEY


def test_values_come_back_bit_for_bit(tmp_path: Path) -> None:
    """Large, tiny, infinite and NaN numbers survive, as do record and seconds."""
    values = torch.tensor([7e4, 1e-8, float("inf"), float("nan"), -0.0])
    store = Store(tmp_path)

    store.write("record", KEY, Artifact({"values": values}, {"a": 0.1}, 2.25), "a record")
    found = store.read("record", KEY)

    assert found is not None
    assert found.tensors["values"].numpy().tobytes() == values.numpy().tobytes()
    assert (found.record, found.seconds) == ({"a": 0.1}, 2.25)


def test_absent_values_are_none(tmp_path: Path) -> None:
    """Nothing is found under a key or stage that was never written."""
    store, _ = filled(tmp_path)

    assert store.read("explain", "cd" + "0" * 62) is None
    assert store.read("score", KEY) is None
    assert store.has("explain", KEY)
    assert not store.has("score", KEY)


@pytest.mark.parametrize("suffix", [".json", ".safetensors"])
@pytest.mark.parametrize("damage", ["empty", "short", "half", "flip", "folder", "link"])
def test_damage_is_found_and_set_aside(tmp_path: Path, suffix: str, damage: str) -> None:
    """A truncated, altered or replaced file counts as absent, is kept aside, and can be remade."""
    store, base = filled(tmp_path)
    path = base.with_suffix(suffix)
    content = path.read_bytes()
    path.unlink()
    if damage == "folder":
        path.mkdir()
    elif damage == "link":
        path.symlink_to(tmp_path / "nowhere")
    else:
        path.write_bytes(
            {
                "empty": b"",
                "short": content[:-1],
                "half": content[: len(content) // 2],
                "flip": content[:-4] + bytes([content[-4] ^ 1]) + content[-3:],
            }[damage]
        )

    found = store.read("explain", KEY)
    filled(tmp_path)

    assert found is None
    assert store.read("explain", KEY) is not None


def test_swapped_values_are_found(tmp_path: Path) -> None:
    """A whole and valid record under another key is not served."""
    store, base = filled(tmp_path)
    other = "ab" + "1" * 62
    base.with_suffix(".json").rename(base.with_name(f"{other}.json"))

    assert store.read("explain", other) is None


def test_a_value_that_is_rewritten_while_it_is_read_is_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tensors of another process that come after the record was read are no damage."""
    store, base = filled(tmp_path)
    read_bytes = Path.read_bytes

    def rewritten(path: Path) -> bytes:
        content = read_bytes(path)
        monkeypatch.undo()
        store.write("explain", KEY, Artifact({"values": torch.ones(3)}), "the same, elsewhere")
        return content

    monkeypatch.setattr(Path, "read_bytes", rewritten)

    found = store.read("explain", KEY)

    assert found is not None
    assert found.tensors["values"].tolist() == [1.0, 1.0, 1.0]
    assert base.with_suffix(".json").exists()
    assert not (tmp_path / "quarantine").exists()


def test_no_temporary_file_stays(tmp_path: Path) -> None:
    """After writing, only the record and its tensors are in the folder."""
    _, base = filled(tmp_path)

    names = sorted(path.name for path in base.parent.iterdir())

    assert names == [f"{KEY}.json", f"{KEY}.safetensors"]


def test_an_unusable_folder_is_one_message(tmp_path: Path) -> None:
    """A cache folder that cannot be made is the user's mistake, said in one sentence."""
    file = tmp_path / "file"
    file.write_text("")

    with pytest.raises(BenchError) as caught:
        Store(file / "cache")

    assert str(caught.value) == (
        f"--cache {file / 'cache'}: cannot be made or written (Not a directory); "
        "give another folder"
    )


WRITE_OFTEN = """
import sys, torch
from pathlib import Path
from le_bench.running.store import Artifact, Store

store = Store(Path(sys.argv[1]))
for _ in range(30):
    store.write("explain", sys.argv[2], Artifact({"values": torch.ones(1000)}), "race")
"""


def test_racing_writers_leave_a_whole_value(tmp_path: Path) -> None:
    """Two processes that write the same key at once never leave a half-written value."""
    store = Store(tmp_path)
    command = [sys.executable, "-c", WRITE_OFTEN, str(tmp_path), KEY]

    writers = [subprocess.Popen(command) for _ in range(2)]
    codes = [writer.wait() for writer in writers]

    assert codes == [0, 0]
    assert store.read("explain", KEY) is not None
    assert not list(tmp_path.rglob("*.tmp"))
