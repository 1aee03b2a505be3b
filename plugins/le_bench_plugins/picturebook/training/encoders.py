"""Train one encoder on pictures and texts and write its weights and measured quality."""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from le_bench_plugins.picturebook.absent import ABSENT
from le_bench_plugins.picturebook.encoders import (
    ENCODERS,
    WEIGHTS_DIRECTORY,
    LoadedEncoder,
    load_encoder,
)
from le_bench_plugins.picturebook.training import pool as pools
from le_bench_plugins.picturebook.training import quality, run
from le_bench_plugins.picturebook.training.losses import TruthfulClipLoss, TruthfulSigLipLoss
from le_bench_plugins.picturebook.training.texts import NUM_CAPTIONS, TextSampler

NUM_HELD_OUT = 2000
MAX_LOG_SCALE = float(np.log(100))
RECIPES = {
    "picturebook-sl-resnet": run.Recipe(seed=21, num_samples=450_000, learning_rate=2e-3),
    "picturebook-sl-convvit": run.Recipe(seed=22, num_samples=450_000, learning_rate=1.5e-3),
    "picturebook-clip": run.Recipe(seed=23, num_samples=400_000, learning_rate=2e-3),
}


def encode_texts(encoder: LoadedEncoder, texts: list[str]) -> Tensor:
    """Return unit vectors (T, D), the same as `model.encode_text` gives but sooner.

    The padding behind the longest text is cut off. That changes nothing: the text tower is
    causal and reads its result at the end-of-text token, before the padding.
    """
    distinct = list(dict.fromkeys(texts))
    tokens = encoder.tokenizer(distinct)
    length = int((tokens != 0).sum(dim=1).max())
    tower: Any = encoder.model.text
    mask = tower.attn_mask
    tower.attn_mask = mask[:length, :length]
    try:
        embeddings: Tensor = encoder.model.encode_text(tokens[:, :length], normalize=True)  # type: ignore[operator]
    finally:
        tower.attn_mask = mask
    rows = {text: row for row, text in enumerate(distinct)}
    return embeddings[[rows[text] for text in texts]]


def batch_loss(
    encoder: LoadedEncoder, pictures: Tensor, rows: npt.NDArray[np.int64], sampler: TextSampler
) -> Tensor:
    """Return the loss of one batch: sigmoid loss if the model has a logit bias, else softmax."""
    model: Any = encoder.model
    with torch.autocast("cpu", torch.bfloat16):
        features = model.visual(pictures)
    image_vectors = nn.functional.normalize(features.float(), dim=-1)
    scale = model.logit_scale.exp()
    if model.logit_bias is not None:
        # Concepts and phrases are short, captions long: apart they need less padding.
        batch = sampler.draw_batch(rows)
        num_short = len(batch.texts) - NUM_CAPTIONS
        text_vectors = torch.cat(
            [
                encode_texts(encoder, batch.texts[:num_short]),
                encode_texts(encoder, batch.texts[num_short:]),
            ]
        )
        loss: Tensor = TruthfulSigLipLoss(batch.truth)(
            image_vectors, text_vectors, scale, model.logit_bias
        )
        return loss
    losses = []
    for kind in ("concept", sampler.draw_kind()):
        batch = sampler.draw_pairs(rows, kind)
        text_vectors = encode_texts(encoder, batch.texts)
        losses.append(TruthfulClipLoss(batch.truth)(image_vectors, text_vectors, scale))
    return torch.stack(losses).mean()


def measure(encoder: LoadedEncoder, pool: pools.Pool, calibration: pools.Pool) -> dict[str, Any]:
    """Return for each prompt the precisions, the fit, and what absent things are given by it."""
    images = quality.embed_images(encoder.model, pool.images)
    calibration_images = quality.embed_images(encoder.model, calibration.images)
    measured: dict[str, Any] = {}
    for name, prompts in quality.PROMPTS.items():
        texts = quality.embed_names(
            encoder.model, encoder.tokenizer, prompts, quality.CONCEPT_NAMES
        )
        absent = quality.embed_names(encoder.model, encoder.tokenizer, prompts, ABSENT)
        cosines = images @ texts.T
        fitted = quality.fit_calibration(calibration_images @ texts.T, calibration.presence)
        precisions = quality.average_precisions(cosines, pool.presence)
        order = np.argsort(precisions)
        measured[name] = {
            "mean_average_precision": quality.by_category(precisions),
            "cross_entropy": round(quality.cross_entropy(fitted, cosines, pool.presence), 4),
            "a": round(fitted.a, 4),
            "b": round(fitted.b, 4),
            "absent_probability": round(float(fitted.predict(images @ absent.T).mean()), 5),
            "weakest": {
                quality.CONCEPT_NAMES[column]: round(float(precisions[column]), 3)
                for column in order[:8]
            },
        }
    return measured


def mean_average_precision(encoder: LoadedEncoder, pool: pools.Pool, count: int) -> float:
    """Return the mean average precision with bare names on the first `count` pictures."""
    encoder.model.eval()
    images = quality.embed_images(encoder.model, pool.images[:count])
    texts = quality.embed_names(
        encoder.model, encoder.tokenizer, quality.PROMPTS["bare"], quality.CONCEPT_NAMES
    )
    encoder.model.train()
    return float(np.nanmean(quality.average_precisions(images @ texts.T, pool.presence[:count])))


def train(options: argparse.Namespace, directory: Path) -> None:
    """Train and write; prints one line for each measurement."""
    recipe = RECIPES[options.name]
    num_samples = options.num_samples or recipe.num_samples
    run.make_reproducible(recipe.seed)
    pictures = pools.open_pool(options.pool, pools.ENCODER_TRAIN_START, options.num_pictures)
    held_out = pools.open_pool(options.pool, pools.ENCODER_HELD_OUT_START, NUM_HELD_OUT)
    fitting = pools.open_pool(options.pool, pools.ENCODER_CALIBRATION_START, NUM_HELD_OUT)
    sampler = TextSampler(pictures, recipe.seed)
    path = options.output / f"{options.name}.safetensors"

    encoder = load_encoder(options.name, directory)
    model: Any = encoder.model.train()
    model.visual.to(memory_format=torch.channels_last)
    run.use_plain_attention(model.visual)
    optimizer = run.make_optimizer(model.named_parameters(), recipe.learning_rate, 0.05)
    started = time.perf_counter()
    seen = 0
    losses: list[float] = []
    log: list[dict[str, float]] = []
    for rows, batch in pools.iterate_batches(
        pictures, options.batch_size, num_samples, recipe.seed
    ):
        factor = run.learning_rate_factor(seen / num_samples)
        run.set_learning_rate(optimizer, recipe.learning_rate * factor)
        loss = batch_loss(encoder, batch, rows, sampler)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), options.clip_norm)
        optimizer.step()
        with torch.no_grad():
            model.logit_scale.clamp_(0, MAX_LOG_SCALE)
        seen += len(rows)
        losses.append(float(loss.detach()))
        if len(losses) == options.steps_per_line:
            log.append(
                {
                    "samples": seen,
                    "seconds": round(time.perf_counter() - started, 1),
                    "loss": round(float(np.mean(losses)), 4),
                    "mean_average_precision": round(
                        mean_average_precision(encoder, held_out, 500), 4
                    ),
                    "logit_scale": round(float(model.logit_scale.exp()), 3),
                }
            )
            losses.clear()
            run.save_weights(model, path)
            print(options.name, log[-1], flush=True)

    seconds = time.perf_counter() - started
    num_bytes = run.save_weights(model, path)
    trained = load_encoder(options.name, directory, path)
    report = {
        "name": options.name,
        "seed": recipe.seed,
        "parameters": run.count_parameters(model),
        "bytes": num_bytes,
        "samples_seen": seen,
        "training_pictures": [pools.ENCODER_TRAIN_START, options.num_pictures],
        "seconds": round(seconds, 1),
        "held_out_pictures": [pools.ENCODER_HELD_OUT_START, NUM_HELD_OUT],
        "calibration_pictures": [pools.ENCODER_CALIBRATION_START, NUM_HELD_OUT],
        "marginal_entropy": round(quality.marginal_entropy(held_out.presence), 4),
        "mean_prevalence": round(float(held_out.presence.mean()), 4),
        "prompts": measure(trained, held_out, fitting),
        "learning_rate": recipe.learning_rate,
        "batch_size": options.batch_size,
        "generator_digest": pools.generator_digest(),
        "versions": run.versions(),
    }
    run.write_json(report, path.with_suffix(".json"))
    run.write_json(log, path.with_suffix(".log.json"))
    print(report, flush=True)


def measure_again(options: argparse.Namespace, directory: Path) -> None:
    """Replace the measured quality in the JSON of weights that are already trained."""
    run.make_reproducible(RECIPES[options.name].seed)
    path = options.output / f"{options.name}.safetensors"
    held_out = pools.open_pool(options.pool, pools.ENCODER_HELD_OUT_START, NUM_HELD_OUT)
    fitting = pools.open_pool(options.pool, pools.ENCODER_CALIBRATION_START, NUM_HELD_OUT)
    report = json.loads(path.with_suffix(".json").read_text())
    report["prompts"] = measure(load_encoder(options.name, directory, path), held_out, fitting)
    run.write_json(report, path.with_suffix(".json"))
    print(report, flush=True)


def main() -> None:
    """Read the options and train, or only measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=ENCODERS)
    parser.add_argument("--pool", type=Path, required=True, help="directory for drawn pictures")
    parser.add_argument("--num-pictures", type=int, default=100_000, help="pictures to draw")
    parser.add_argument("--num-samples", type=int, help="pictures to train on, else the recipe's")
    parser.add_argument("--batch-size", type=int, default=192)
    parser.add_argument("--clip-norm", type=float, default=10.0, help="largest gradient norm")
    parser.add_argument("--steps-per-line", type=int, default=100, help="steps between log lines")
    parser.add_argument("--output", type=Path, default=WEIGHTS_DIRECTORY)
    parser.add_argument("--measure-only", action="store_true", help="train nothing")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        (measure_again if options.measure_only else train)(options, Path(directory))


if __name__ == "__main__":
    main()
