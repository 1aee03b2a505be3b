"""Probe datasets of Hugging Face by name."""

from __future__ import annotations

import io
import json
from pathlib import Path

import huggingface_hub.constants
import numpy as np
import pyarrow as pa
import pytest
from huggingface_hub.utils import filter_repo_objects
from PIL import Image
from pyarrow import parquet

from le_bench.errors import BenchError, MissingFileError
from le_bench.fingerprint import fingerprint
from le_bench_plugins.datasets.parquet import plugin
from le_bench_plugins.datasets.parquet.plugin import HubDataset

COMMIT = "0b2714987fa478483af9968de7c934580d0bb9a2"
CIFAR = "uoft-cs/cifar10"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of Hugging Face on a machine without network."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return tmp_path


def put_table(hub: Path, name: str, first: int = 0) -> Path:
    """Ten images where Hugging Face's library keeps what it has downloaded."""
    path = hub / "datasets--uoft-cs--cifar10" / "snapshots" / COMMIT / name
    path.parent.mkdir(parents=True, exist_ok=True)
    files = []
    for shade in range(first, first + 10):
        target = io.BytesIO()
        Image.fromarray(np.full((3, 4, 3), shade, np.uint8)).save(target, "PNG")
        files.append({"bytes": target.getvalue(), "path": None})
    features = {"label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}
    about = {"huggingface": json.dumps({"info": {"features": features}})}
    table = pa.table({"img": files, "label": [0, 1] * 5}).replace_schema_metadata(about)
    parquet.write_table(table, path)
    return path


def test_a_split_comes_from_the_cache(hub: Path) -> None:
    """Nothing is asked of the network if the split's tables are here."""
    put_table(hub, "plain_text/test-00000-of-00001.parquet")
    put_table(hub, "plain_text/train-00000-of-00001.parquet", first=100)
    source = HubDataset(CIFAR, COMMIT, "train", image="img")

    source.fetch()
    dataset = source.load()

    assert source.missing() == ""
    assert dataset.name == CIFAR
    assert dataset.classes == ("cat", "dog")
    assert [int(pixels[0, 0, 0]) for pixels in dataset.images.read([0, 9])] == [100, 109]


def test_the_key_holds_revision_and_content(hub: Path) -> None:
    """Another commit or a changed table is another data set."""
    source = HubDataset(CIFAR, COMMIT, "test", image="img")
    absent = fingerprint(source, {})
    put_table(hub, "plain_text/test-00000-of-00001.parquet")
    present = fingerprint(source, {})
    put_table(hub, "plain_text/test-00000-of-00001.parquet", first=1)
    changed = fingerprint(source, {})

    assert absent["identity"] == "not on this machine"
    assert len({absent["identity"], present["identity"], changed["identity"]}) == 3
    assert present["options"]["revision"] == COMMIT


def test_missing_tables_say_what_to_fetch(hub: Path) -> None:
    """One message, whether planned, fetched without network or loaded; also for another split."""
    put_table(hub, "plain_text/test-00000-of-00001.parquet")
    put_table(hub, "plain_text/val-00000-of-00002.parquet")
    source = HubDataset(CIFAR, COMMIT, "train", image="img")
    message = (
        f"hf-dataset {CIFAR}: split 'train' is not on this machine (here: plain_text/test, "
        "plain_text/val); `le-bench run` fetches it if it has network; by hand: run "
        f"`hf download {CIFAR} --repo-type dataset --revision {COMMIT} --include '*.parquet'` "
        "where there is network and copy its cache folder here (`HF_HOME` names it, else "
        "~/.cache/huggingface)"
    )

    with pytest.raises(MissingFileError) as fetching:
        source.fetch()
    with pytest.raises(MissingFileError) as loading:
        source.load()

    assert source.missing() == message
    assert str(fetching.value) == f"{message} (the download failed: HF_HUB_OFFLINE is set)"
    assert str(loading.value) == message


def test_half_a_split_is_missing(hub: Path) -> None:
    """A download that was cut off is taken up again."""
    put_table(hub, "data/train-00001-of-00002.parquet")

    missing = HubDataset(CIFAR, COMMIT, "train").missing()

    assert missing.startswith(
        f"hf-dataset {CIFAR}: split 'train' is not on this machine as a whole; `le-bench run` "
    )


def test_half_of_another_split_does_not_matter(hub: Path) -> None:
    """Only the split that is named must be whole."""
    put_table(hub, "data/train-00001-of-00002.parquet")
    put_table(hub, "data/test-00000-of-00001.parquet")

    missing = HubDataset(CIFAR, COMMIT, "test").missing()

    assert missing == ""


def test_a_split_of_two_configurations_is_unclear(hub: Path) -> None:
    """No download would help, so that the message names both."""
    put_table(hub, "a/test-00000-of-00001.parquet")
    put_table(hub, "b/test-00000-of-00001.parquet")

    with pytest.raises(BenchError) as caught:
        HubDataset(CIFAR, COMMIT, "test").fetch()

    assert str(caught.value) == (
        f"hf-dataset {CIFAR}: split 'test' is there 2 times: a/test, b/test; give one of these as "
        "`split`"
    )


@pytest.mark.parametrize(
    "name",
    ["test.parquet", "data/test.parquet", "c/test/0000.parquet", "a/test-00000-of-00001.parquet"],
)
def test_every_form_of_a_split_is_fetched(
    hub: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The patterns of the download match what is read then."""
    monkeypatch.delenv("HF_HUB_OFFLINE")

    def download(_dataset: str, *, allow_patterns: list[str], **_options: str) -> None:
        for each in filter_repo_objects([name, "train.parquet"], allow_patterns=allow_patterns):
            put_table(hub, each)

    monkeypatch.setattr(plugin, "snapshot_download", download)
    source = HubDataset(CIFAR, COMMIT, "test", image="img")

    source.fetch()

    assert len(source.load().images) == 10


def test_a_split_without_a_number_of_parts_is_completed(
    hub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether `0000.parquet` is all only Hugging Face knows."""
    monkeypatch.delenv("HF_HUB_OFFLINE")
    put_table(hub, "plain_text/test/0000.parquet")
    monkeypatch.setattr(
        plugin,
        "snapshot_download",
        lambda *_names, **_options: put_table(hub, "plain_text/test/0001.parquet"),
    )
    source = HubDataset(CIFAR, COMMIT, "test", image="img")

    source.fetch()

    assert len(source.load().images) == 20


def test_a_split_that_may_be_half_needs_consent(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without network it is refused; HF_HUB_OFFLINE takes what is here."""
    put_table(hub, "plain_text/test/0000.parquet")
    source = HubDataset(CIFAR, COMMIT, "test", image="img")

    def download(*_names: str, **_options: object) -> None:
        raise OSError("no route")

    monkeypatch.setattr(plugin, "snapshot_download", download)
    source.fetch()
    monkeypatch.delenv("HF_HUB_OFFLINE")
    with pytest.raises(MissingFileError) as caught:
        source.fetch()

    assert str(caught.value) == (
        f"hf-dataset {CIFAR}: the names of the files here do not say whether split 'test' is "
        "whole; set HF_HUB_OFFLINE=1 to take it for whole (the download failed: no route)"
    )


def test_a_split_that_the_repository_lacks(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is there is named after the download too."""
    monkeypatch.delenv("HF_HUB_OFFLINE")
    put_table(hub, "test-00000-of-00001.parquet")
    monkeypatch.setattr(plugin, "snapshot_download", lambda *_names, **_options: None)

    with pytest.raises(MissingFileError) as caught:
        HubDataset(CIFAR, COMMIT, "tset").fetch()

    assert str(caught.value).startswith(
        f"hf-dataset {CIFAR}: split 'tset' is not on this machine (here: test); `le-bench run` "
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            (CIFAR, "main", "test"),
            "revision is 'main', which is no commit of 40 hex digits; take it from "
            f"https://huggingface.co/datasets/{CIFAR}/commits/main, since the content of a branch "
            "changes",
        ),
        (
            ("../photos", COMMIT, "test"),
            "dataset is '../photos', which is no repository such as 'uoft-cs/cifar10'; files on "
            "this machine are read by `parquet`",
        ),
        ((CIFAR, COMMIT, ""), "split is empty; name one of the data set's splits"),
    ],
)
def test_what_could_not_be_made_again_is_refused(
    options: tuple[str, str, str], message: str
) -> None:
    """Branches move, and folders are no repositories."""
    with pytest.raises(ValueError, match="is") as caught:
        HubDataset(*options)

    assert str(caught.value) == message
