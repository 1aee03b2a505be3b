"""Every CLIP and SigLIP that open_clip can build, the paper's three encoders among them."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

import open_clip
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from le_bench import hookimpl
from le_bench.components import Encoder
from le_bench.errors import BenchError, MissingFileError, UnreadableFileError, unknown_name
from le_bench.networks.embedding import (
    BATCH_SIZE,
    embed_images,
    embed_texts,
    require_same_vocabulary,
)
from le_bench.networks.hosted import NETWORK_FAILURES, HostedFile, present_weights
from le_bench.networks.weights import LOAD_FAILURES
from le_bench.types import Calibration, Images, require
from le_bench_plugins.encoders.open_clip_files import TokenizerFiles, weights_of

# "Linear Explanations for Individual Neurons", section 3 and the authors' code. open_clip now
# calls the network that the authors ran as ViT-L-14-336 by the second name too.
PAPER_CONSTANTS: Mapping[tuple[str, str], tuple[float, float]] = {
    ("ViT-L-16-SigLIP-384", "webli"): (60.0, -0.09),
    ("ViT-SO400M-14-SigLIP-384", "webli"): (58.0, -0.13),
    ("ViT-L-14-336", "openai"): (58.0, -0.25),
    ("ViT-L-14-336-quickgelu", "openai"): (58.0, -0.25),
}
RAW_TEXT = "{}"
TOKENIZER_KEYS = ("hf_tokenizer_name", "hf_model_name")  # in open_clip's configuration of a model


class _Loaded(NamedTuple):
    """A model on the CPU with its image transform and its tokenizer."""

    model: nn.Module
    transform: Callable[[Image.Image], Tensor]
    tokenizer: Callable[[list[str]], Tensor]


@dataclass(frozen=True)
class OpenCLIPEncoder(Encoder):
    """An image and text encoder built by open_clip, by its model name and pretrained tag.

    `checkpoint` gives the weights without a download: a weights file for `model`, or a folder as
    open_clip saves it (`open_clip_config.json` beside the weights), whose configuration then
    counts and `model` is but a label. With a file, `pretrained` says whose preprocessing,
    activation function and constants the weights go with; without a tag, `mean` and `std` must be
    given, since open_clip would quietly take those of OpenAI's CLIP. `mean`, `std`,
    `resize_mode` and `interpolation` override the preprocessing.

    `a` and `b` are the constants of P = sigmoid(a * (cosine + b)). If they are not given, the
    paper's are used for its three encoders (as long as texts go in raw), and for all others the
    core fits them. `template` puts each text into a sentence, at `{}`.

    The activation function follows the weights: open_clip 3 builds GELU for `ViT-L-14-336` and
    merely warns that OpenAI's weights were trained with QuickGELU; here QuickGELU is built.
    Features are unnormalised float32, as in the authors' code.
    """

    name: ClassVar[str] = "open-clip"
    version: ClassVar[int] = 1
    reference: ClassVar[str] = "https://github.com/mlfoundations/open_clip"

    model: str
    pretrained: str = ""
    checkpoint: Path | None = None
    a: float | None = None
    b: float | None = None
    template: str = RAW_TEXT
    mean: tuple[float, float, float] | None = None
    std: tuple[float, float, float] | None = None
    resize_mode: Literal["shortest", "longest", "squash"] | None = None
    interpolation: Literal["bicubic", "bilinear"] | None = None
    batch_size: int = BATCH_SIZE

    def __post_init__(self) -> None:
        require(self.batch_size > 0, f"batch_size is {self.batch_size}; it must be at least 1")
        require((self.a is None) == (self.b is None), "give both `a` and `b`, or neither")
        require(
            self.a is None or (isfinite(self.a) and self.a != 0),
            f"a is {self.a}; it must be a number other than 0",
        )
        require(
            self.template.count("{}") == 1,
            f"template is {self.template!r}; it must hold {{}} once, where the text goes",
        )
        require(
            bool(self.pretrained) or self.checkpoint is not None,
            f"{self.model} would have random weights; give `pretrained` (a tag of open_clip) "
            "or `checkpoint` (a file or folder)",
        )

    def encode_images(self, images: Images, device: torch.device) -> Tensor:
        """Features of all images, (N, D)."""
        loaded = self._load()
        return embed_images(loaded.model, loaded.transform, images, device, self.batch_size)

    def encode_texts(self, texts: Sequence[str], device: torch.device) -> Tensor:
        """Features of all texts, each put into the template, (C, D)."""
        loaded = self._load()
        sentences = [self.template.replace("{}", text) for text in texts]
        return embed_texts(loaded.model, loaded.tokenizer, sentences, device, self.batch_size)

    def image_work(self) -> tuple[float, int] | None:
        """Counted on a model without weights; None for a folder of its own."""
        if self.checkpoint is not None and self.checkpoint.is_dir():
            return None
        name = self._known_model()
        size = _configuration(name)["vision_cfg"].get("image_size", 224)
        height, across = size if isinstance(size, list | tuple) else (size, size)
        with torch.device("meta"), torch.random.fork_rng(devices=[]), _quiet():
            model = open_clip.create_model(name, pretrained=None, load_weights=False, device="meta")
            visual = model.visual.eval().requires_grad_(False)
            with FlopCounterMode(display=False) as counted, torch.no_grad():
                features = visual(torch.empty(1, 3, height, across))
        return float(counted.get_total_flops()), int(features.shape[-1])

    def constants(self) -> Calibration | None:
        """The given constants, else the paper's for its encoders, else None."""
        if self.a is not None and self.b is not None:
            return Calibration(self.a, self.b, source="given")
        known = PAPER_CONSTANTS.get((self.model, self.pretrained))
        if known is None or self.template != RAW_TEXT:
            return None
        return Calibration(*known, source="Linear Explanations for Individual Neurons")

    def missing(self) -> str:
        """How to get what is not here of weights, tokenizer and the package that reads it."""
        clauses: list[str] = []
        hosted = self._hosted()
        absent = [file for file in hosted if file.path() is None]
        if self._lacks_transformers():
            clauses.append(
                "its tokenizer needs the package transformers; install it with "
                "`pip install 'le-bench[hf]'`"
            )
        if absent:
            what = " and ".join(dict.fromkeys(hosted[file] for file in absent))
            advice = ", and ".join(file.advice() for file in absent)
            clauses.append(
                f"its {what} are not on this machine; `le-bench run` fetches them if it has "
                f"network; by hand: {advice}"
            )
            if hosted[absent[0]] == "weights":
                clauses[-1] += "; or give the file of weights as `checkpoint`"
        return f"{self._title}: {'; '.join(clauses)}" if clauses else ""

    def fetch(self) -> None:
        """Download what is not here, unless the package that reads it is missing too."""
        message = self.missing()
        if not message:
            return
        if self._lacks_transformers():
            raise MissingFileError(message)
        try:
            for file in self._hosted():
                if file.path() is None:
                    file.fetch()
        except NETWORK_FAILURES as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise MissingFileError(f"{message} (the download failed: {reason})") from error

    def _load(self) -> _Loaded:
        """Build the model with its weights; everything cheap that can fail is tried first."""
        folder = self._folder
        architecture = self._architecture()
        self.fetch()
        tag = {} if folder else self._tag()
        weights = self.checkpoint or present_weights(self._title, weights_of(tag))
        tokenizer = self._tokenizer(architecture)
        given = self.mean and self.std
        if not (folder or tag or given):
            raise BenchError(
                f"{self._title}: which preprocessing its weights need is not known; give "
                "`pretrained` (the open_clip tag that they belong to) or `mean` and `std`"
            )
        try:
            # Building draws random weights before the real ones are read.
            with torch.random.fork_rng(devices=[]):
                model, _, transform = open_clip.create_model_and_transforms(
                    architecture,
                    pretrained=None if folder else str(weights),
                    require_pretrained=True,
                    force_quick_gelu=bool(tag.get("quick_gelu")),
                    image_mean=self.mean or tag.get("mean"),
                    image_std=self.std or tag.get("std"),
                    image_resize_mode=self.resize_mode or tag.get("resize_mode"),
                    image_interpolation=self.interpolation or tag.get("interpolation"),
                )
        except LOAD_FAILURES as error:
            raise self._unreadable(weights, error) from error
        require_same_vocabulary(model, tokenizer, self._title)
        return _Loaded(model, transform, tokenizer)

    @property
    def _title(self) -> str:
        return f"open-clip {self.model}" + (f"/{self.pretrained}" if self.pretrained else "")

    def _known_model(self) -> str:
        """The model's name as open_clip's registry has it."""
        if ":" in self.model:
            raise BenchError(
                f"{self._title}: what lies behind this address may change; download it (for "
                "instance `hf download ORG/NAME --local-dir FOLDER`) and give "
                '`checkpoint = "FOLDER"`'
            )
        name = self.model.replace("/", "-")
        if name not in open_clip.list_models():
            raise BenchError(unknown_name("open_clip model", self.model, open_clip.list_models()))
        return name

    def _tag(self) -> Mapping[str, Any]:
        """What open_clip knows of the pretrained tag; empty without a tag."""
        name = self._known_model()
        if not self.pretrained:
            return {}
        tag: Mapping[str, Any] = open_clip.get_pretrained_cfg(name, self.pretrained)
        if not tag:
            tags = open_clip.list_pretrained_tags_by_model(name)
            raise BenchError(unknown_name(f"pretrained tag of {self.model}", self.pretrained, tags))
        return tag

    @property
    def _folder(self) -> Path | None:
        """The checkpoint, if it is a folder as open_clip saves it."""
        return self.checkpoint if self.checkpoint and self.checkpoint.is_dir() else None

    def _architecture(self) -> str:
        """What open_clip is to build, as it takes it."""
        return f"local-dir:{self._folder}" if self._folder else self._known_model()

    def _hosted(self) -> dict[HostedFile, str]:
        """The files that open_clip would look for on a server, and what they are."""
        if self._folder or ":" in self.model:  # the latter is refused when it is loaded
            return {}
        files: dict[HostedFile, str] = {}
        if self.checkpoint is None:
            files[weights_of(self._tag())] = "weights"
        text = _configuration(self._known_model())["text_cfg"]
        for key in TOKENIZER_KEYS:
            if repository := text.get(key):
                files[TokenizerFiles(repository)] = "tokenizer's files"
        return files

    def _lacks_transformers(self) -> bool:
        """Whether open_clip would fail with an ImportError."""
        if ":" in self.model and not self._folder:
            return False
        text = _configuration(self._architecture())["text_cfg"]
        needed = set(TOKENIZER_KEYS) & set(text) or "siglip" in self.model.lower()
        return bool(needed) and importlib.util.find_spec("transformers") is None

    def _tokenizer(self, architecture: str) -> Callable[[list[str]], Tensor]:
        try:
            tokenizer: Callable[[list[str]], Tensor] = open_clip.get_tokenizer(architecture)
        except (OSError, ValueError, ImportError) as error:
            text = _configuration(architecture)["text_cfg"]
            source = self._folder or text.get("hf_tokenizer_name", "google's T5 vocabulary")
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise MissingFileError(
                f"{self._title}: its tokenizer cannot be read from {source} ({reason}); fetch the "
                "files of the tokenizer again"
            ) from error
        return tokenizer

    def _unreadable(self, weights: Path, error: Exception) -> UnreadableFileError:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        return UnreadableFileError(
            f"{weights}: these are not the weights of {self._title} ({reason[0].strip()}); give a "
            "file that was saved from this model, or remove it to have it fetched again"
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Without open_clip's warning that a model has random weights, which is meant."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def _configuration(architecture: str) -> Mapping[str, Any]:
    """open_clip's configuration of a model by name or of a saved folder."""
    try:
        configuration: Mapping[str, Any] = open_clip.get_model_config(architecture)
    except (OSError, ValueError) as error:
        folder = architecture.removeprefix("local-dir:")
        raise UnreadableFileError(
            f"{folder}: no open_clip_config.json can be read in this folder; give a folder saved "
            "by open_clip or a weights file"
        ) from error
    return configuration


@hookimpl
def le_bench_encoders() -> Iterable[type[Encoder]]:
    """Offer the open_clip encoder."""
    return [OpenCLIPEncoder]
