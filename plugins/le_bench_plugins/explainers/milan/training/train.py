"""Train a captioner on annotated exemplars and measure it on others that are held out."""

from __future__ import annotations

import argparse
import json
import platform
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import sacrebleu
import torch

from le_bench.networks.weights import load_weights
from le_bench_plugins.explainers.milan.captioner import (
    Captioner,
    Description,
    load_captioner,
    save_captioner,
)
from le_bench_plugins.explainers.milan.decoder import DecoderSizes, LanguageModelSizes
from le_bench_plugins.explainers.milan.decoding import Decoding, decode
from le_bench_plugins.explainers.milan.exemplars import View
from le_bench_plugins.explainers.milan.training.annotated import Annotated, read_annotated
from le_bench_plugins.explainers.milan.training.fit import (
    Schedule,
    bleu,
    encode_all,
    fit_decoder,
    fit_language_model,
)
from le_bench_plugins.explainers.milan.vocabulary import Vocabulary

HELD_BACK = 0.05  # of the training units, to decide when to stop


def describe(options: argparse.Namespace, texts: list[str]) -> Description:
    """The captioner to be trained."""
    language = LanguageModelSizes(options.embedding, options.language_hidden, layers=2)
    sizes = DecoderSizes(
        embedding=options.embedding,
        hidden=options.hidden,
        attention=options.attention,
        language_model=language,
    )
    view = View(options.size, options.shorter_side)
    return Description(Vocabulary.of_texts(texts), options.backbone, sizes, Decoding(), view)


def train(options: argparse.Namespace) -> None:
    """Train, write and measure; prints one line an epoch."""
    torch.set_num_threads(1)
    torch.manual_seed(options.seed)
    started = time.perf_counter()
    blind = Captioner(Description(Vocabulary(()), options.backbone))
    load_weights(blind.encoder.model, options.backbone_weights)
    everyone = read_annotated(options.annotated, options.layer, blind)
    order = torch.randperm(len(everyone.annotations)).tolist()
    split = int(len(order) * HELD_BACK)
    val, seen = _take(everyone, order[:split]), _take(everyone, order[split:])
    texts = [text for texts in seen.annotations for text in texts]
    captioner = Captioner(describe(options, texts))
    captioner.encoder.load_state_dict(blind.encoder.state_dict())
    vocabulary = captioner.description.vocabulary
    schedule = Schedule(options.learning_rate, options.max_epochs)
    decoder = captioner.decoder
    if decoder.lm is None:
        raise TypeError("the description has a language model")
    said = [text for texts in val.annotations for text in texts]
    known, unknown = (encode_all(vocabulary, some) for some in (texts, said))
    log = {
        "language_model": fit_language_model(decoder.lm, vocabulary, known, unknown, schedule),
        "decoder": fit_decoder(decoder, vocabulary, seen, val, schedule),
    }
    seconds = time.perf_counter() - started
    options.output.parent.mkdir(parents=True, exist_ok=True)
    save_captioner(captioner, options.output)
    quality = {
        "name": options.output.stem,
        "seed": options.seed,
        "parameters": sum(value.numel() for value in captioner.parameters()),
        "bytes": options.output.stat().st_size,
        "tokens": len(vocabulary),
        "units": len(seen.annotations),
        "annotations": len(texts),
        "epochs": {part: len(lines) for part, lines in log.items()},
        "seconds": round(seconds, 1),
        "bleu": measure(options, load_captioner(options.output)),
        "made_from": json.loads((options.annotated / "made.json").read_text()),
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
            "sacrebleu": sacrebleu.__version__,
        },
    }
    _write(options.output.with_suffix(".json"), quality)
    _write(options.output.with_suffix(".log.json"), log)
    print(json.dumps(quality["bleu"], indent=1))


def measure(options: argparse.Namespace, captioner: Captioner) -> dict[str, dict[str, float]]:
    """BLEU on the layers that are held out, by way of decoding.

    `others` is that of the reranked texts against the annotations of the next unit: the floor.
    """
    found: dict[str, dict[str, float]] = {}
    vocabulary = captioner.description.vocabulary
    for layer in options.held_out:
        held_out = read_annotated(options.annotated, layer, captioner)
        said = held_out.annotations
        found[layer] = {"units": len(said)}
        for strategy in ("greedy", "beam", "rerank"):
            decoding = Decoding(strategy, 0.2 if strategy == "rerank" else 0.0)
            chosen = decode(captioner.decoder, vocabulary, held_out.features, decoding)
            texts = [vocabulary.describe(numbers) for numbers in chosen.tokens.tolist()]
            found[layer][strategy] = round(bleu(texts, said), 2)
        found[layer]["others"] = round(bleu(texts, [*said[1:], said[0]]), 2)
    return found


def _take(annotated: Annotated, units: list[int]) -> Annotated:
    said = [annotated.annotations[unit] for unit in units]
    return replace(annotated, features=annotated.features[units], annotations=said)


def _write(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n")


def main() -> None:
    """Read the options and train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("annotated", type=Path, help="folder with annotations.csv and layers")
    parser.add_argument("--layer", default="train", help="the folder to learn from")
    parser.add_argument(
        "--held-out", nargs="*", default=["known", "new"], help="folders to measure"
    )
    parser.add_argument("--backbone", default="small")
    parser.add_argument("--backbone-weights", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True, help="safetensors file to write")
    parser.add_argument("--seed", type=int, default=31)
    parser.add_argument("--embedding", type=int, default=32)
    parser.add_argument("--hidden", type=int, default=96)
    parser.add_argument("--language-hidden", type=int, default=64)
    parser.add_argument("--attention", type=int, default=48)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--shorter-side", type=int)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--max-epochs", type=int, default=60)
    train(parser.parse_args())


if __name__ == "__main__":
    main()
