"""Files of weights that lie on a server, in the caches of the libraries that know them."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.error import HTTPError, URLError
from urllib.parse import urlparse

import torch
from huggingface_hub import hf_hub_download, try_to_load_from_cache
from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, LocalEntryNotFoundError

from le_bench.errors import MissingFileError, UnreadableFileError
from le_bench.fingerprint import path_digest

OFFLINE = ("1", "true", "yes", "on")
NETWORK_FAILURES = (OSError, URLError, RuntimeError, ValueError, HfHubHTTPError)


class HostedFile(Protocol):
    """A file that a library would download."""

    def path(self) -> Path | None:
        """Where it lies on this machine, or None. Raises UnreadableFileError if it is damaged."""
        ...

    def fetch(self) -> None:
        """Download it. Raises one of NETWORK_FAILURES."""
        ...

    def advice(self) -> str:
        """How to get it onto a machine without network, as an imperative clause."""
        ...


@dataclass(frozen=True)
class AddressedFile:
    """A file at an address, kept in torch's cache as torch.hub and torchvision keep it.

    `sha256` is the beginning of its SHA-256, empty if its makers publish none.
    """

    url: str
    sha256: str = ""

    @classmethod
    def named_by_hash(cls, url: str) -> AddressedFile:
        """One whose name ends in the beginning of its hash, as torchvision's do."""
        return cls(url, sha256=Path(urlparse(url).path).stem.rpartition("-")[2])

    @property
    def place(self) -> Path:
        """Where torch looks for it and where a download goes."""
        return Path(torch.hub.get_dir()) / "checkpoints" / Path(urlparse(self.url).path).name

    def path(self) -> Path | None:
        """Its place if it lies there with the published hash."""
        if not self.place.is_file():
            return None
        found = path_digest(self.place)
        if not found.startswith(self.sha256):
            raise UnreadableFileError(
                f"{self.place}: its SHA-256 begins with {found[:8]}, not {self.sha256}, so it is "
                f"damaged or another file; remove it and fetch {self.url} again"
            )
        return self.place

    def fetch(self) -> None:
        """Download it, checked by its hash; a broken download leaves nothing behind."""
        require_online()
        self.place.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(
            self.url, str(self.place), self.sha256 or None, progress=False
        )

    def advice(self) -> str:
        """What to fetch and where to put it."""
        return f"fetch {self.url} and put it at {self.place} (`TORCH_HOME` moves that folder)"


@dataclass(frozen=True)
class HubFile:
    """A file of weights in a repository on Hugging Face, in that library's cache.

    `names` are tried in order, since older repositories have no safetensors file.
    """

    repository: str
    names: tuple[str, ...] = ("model.safetensors", "pytorch_model.bin")

    def path(self) -> Path | None:
        """The cached file of the newest revision that this machine has seen."""
        repository, revision = self._address()
        for name in self.names:
            found = try_to_load_from_cache(repository, name, revision=revision)
            if isinstance(found, str):
                return Path(found)
        return None

    def fetch(self) -> None:
        """Download the first of its names that the repository has."""
        require_online()
        repository, revision = self._address()
        for name in self.names[:-1]:
            try:
                hf_hub_download(repository, name, revision=revision)
            except LocalEntryNotFoundError:  # no network, so that no other name is found either
                raise
            except EntryNotFoundError:
                continue
            return
        hf_hub_download(repository, self.names[-1], revision=revision)

    def advice(self) -> str:
        """What to download and which folder to copy."""
        repository, _ = self._address()
        return (
            f"run `hf download {repository}` where there is network and copy its cache folder here "
            "(`HF_HOME` names it, else ~/.cache/huggingface)"
        )

    def _address(self) -> tuple[str, str | None]:
        repository, _, revision = self.repository.partition("@")
        return repository, revision or None


def missing_weights(title: str, file: HostedFile, option: str = "checkpoint") -> str:
    """What to do about a file that is not on this machine; empty if it is.

    `option` is the component's option that takes a file in its place.
    """
    if file.path() is not None:
        return ""
    return (
        f"{title}: its weights are not on this machine; `le-bench run` fetches them if it has "
        f"network; by hand: {file.advice()}, or give the file as `{option}`"
    )


def fetch_weights(title: str, file: HostedFile, option: str = "checkpoint") -> None:
    """Download a file unless it is here. Raises MissingFileError that says how to get it."""
    message = missing_weights(title, file, option)
    if message:
        download(file.fetch, message)


def download(fetch: Callable[[], object], message: str) -> None:
    """Fetch something; raises MissingFileError with the message and the reason if it cannot be had.

    Hugging Face's library warns of each of its attempts; here the last failure is told alone.
    """
    library = logging.getLogger("huggingface_hub")
    level = library.level
    library.setLevel(logging.ERROR)
    try:
        fetch()
    except NETWORK_FAILURES as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise MissingFileError(f"{message} (the download failed: {reason})") from error
    finally:
        library.setLevel(level)


def is_unreachable(error: BaseException | None) -> bool:
    """Whether a download failed since no server answered, as it will for all files of it."""
    if isinstance(error, HTTPError):
        return False
    return isinstance(error, LocalEntryNotFoundError | URLError | ConnectionError | TimeoutError)


def present_weights(title: str, file: HostedFile, option: str = "checkpoint") -> Path:
    """Where a file lies on this machine. Raises MissingFileError that says how to get it."""
    path = file.path()
    if path is None:
        raise MissingFileError(missing_weights(title, file, option))
    return path


def weights_identity(file: HostedFile) -> str:
    """The digest of a file's content, whatever its name; says so if it is not here."""
    path = file.path()
    return "not on this machine" if path is None else path_digest(path)


def is_offline() -> bool:
    """Whether HF_HUB_OFFLINE says that there is no network."""
    return os.environ.get("HF_HUB_OFFLINE", "").lower() in OFFLINE


def require_online() -> None:
    """Refuse to ask the network where HF_HUB_OFFLINE says there is none."""
    if is_offline():
        raise OSError("HF_HUB_OFFLINE is set")
