"""Train one target network on the 24 classes and write its weights and measured quality."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional as F

from le_bench_plugins.picturebook.encoders import WEIGHTS_DIRECTORY
from le_bench_plugins.picturebook.targets import TARGETS
from le_bench_plugins.picturebook.training import pool as pools
from le_bench_plugins.picturebook.training import run

NUM_HELD_OUT = 2000
RECIPES = {
    "picturebook-cnn": run.Recipe(seed=11, num_samples=240_000, learning_rate=3e-3),
    "picturebook-vgg": run.Recipe(seed=12, num_samples=160_000, learning_rate=3e-3),
    "picturebook-vit": run.Recipe(seed=13, num_samples=240_000, learning_rate=2e-3),
}


@torch.no_grad()
def measure_accuracy(
    model: nn.Module, images: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64]
) -> float:
    """Return the share of images (N, 64, 64, 3) whose class, labels (N,), has the top logit."""
    was_training = model.training
    model.eval()
    correct = 0
    for first in range(0, len(labels), 250):
        logits = model(pools.to_pictures(images[first : first + 250]))
        correct += int((logits.argmax(1).numpy() == labels[first : first + 250]).sum())
    model.train(was_training)
    return correct / len(labels)


def train(options: argparse.Namespace) -> None:
    """Train and write; prints one line for each measurement."""
    recipe = RECIPES[options.name]
    num_samples = options.num_samples or recipe.num_samples
    run.make_reproducible(recipe.seed)
    pictures = pools.open_pool(options.pool, pools.TARGET_TRAIN_START, options.num_pictures)
    held_out = pools.open_pool(options.pool, pools.TARGET_HELD_OUT_START, NUM_HELD_OUT)

    model = TARGETS[options.name]().to(memory_format=torch.channels_last)
    run.use_plain_attention(model)
    optimizer = run.make_optimizer(model.named_parameters(), recipe.learning_rate, 0.05)
    started = time.perf_counter()
    seen = 0
    log: list[dict[str, float]] = []
    losses: list[float] = []
    for rows, batch in pools.iterate_batches(
        pictures, options.batch_size, num_samples, recipe.seed
    ):
        factor = run.learning_rate_factor(seen / num_samples)
        run.set_learning_rate(optimizer, recipe.learning_rate * factor)
        with torch.autocast("cpu", torch.bfloat16):
            logits = model(batch)
        labels = torch.from_numpy(pictures.labels[rows])
        loss = F.cross_entropy(logits.float(), labels, label_smoothing=0.05)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        seen += len(rows)
        losses.append(float(loss.detach()))
        if len(losses) == options.steps_per_line:
            log.append(
                {
                    "samples": seen,
                    "seconds": round(time.perf_counter() - started, 1),
                    "loss": round(float(np.mean(losses)), 4),
                    "accuracy": measure_accuracy(
                        model, held_out.images[:500], held_out.labels[:500]
                    ),
                }
            )
            losses.clear()
            print(options.name, log[-1], flush=True)

    seconds = time.perf_counter() - started
    path = options.output / f"{options.name}.safetensors"
    num_bytes = run.save_weights(model, path)
    model.load_state_dict(
        {
            name: value.half().float() if value.is_floating_point() else value
            for name, value in model.state_dict().items()
        }
    )
    accuracy = measure_accuracy(model, held_out.images, held_out.labels)
    quality = {
        "name": options.name,
        "seed": recipe.seed,
        "parameters": run.count_parameters(model),
        "bytes": num_bytes,
        "samples_seen": seen,
        "training_pictures": [pools.TARGET_TRAIN_START, options.num_pictures],
        "seconds": round(seconds, 1),
        "held_out_pictures": [pools.TARGET_HELD_OUT_START, NUM_HELD_OUT],
        "accuracy": round(accuracy, 4),
        "learning_rate": recipe.learning_rate,
        "batch_size": options.batch_size,
        "generator_digest": pools.generator_digest(),
        "versions": run.versions(),
    }
    run.write_json(quality, path.with_suffix(".json"))
    run.write_json(log, path.with_suffix(".log.json"))
    print(quality, flush=True)


def main() -> None:
    """Read the options and train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=tuple(TARGETS))
    parser.add_argument("--pool", type=Path, required=True, help="directory for drawn pictures")
    parser.add_argument("--num-pictures", type=int, default=60_000, help="pictures to draw")
    parser.add_argument("--num-samples", type=int, help="pictures to train on, else the recipe's")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--steps-per-line", type=int, default=200, help="steps between log lines")
    parser.add_argument("--output", type=Path, default=WEIGHTS_DIRECTORY)
    train(parser.parse_args())


if __name__ == "__main__":
    main()
