"""Write the card of the shipped weights, README.md, from the JSON beside each weights file."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from le_bench_plugins.picturebook.concepts import CLASSES, CONCEPTS
from le_bench_plugins.picturebook.encoders import ENCODERS, WEIGHTS_DIRECTORY, read_num_tokens
from le_bench_plugins.picturebook.targets import TARGETS

Quality = Mapping[str, Any]
CAPTIONER = "picturebook-milan"

_ARCHITECTURES: Mapping[str, str] = {
    "picturebook-cnn": "timm ResNet, one basic block in each of `layer1` to `layer4`, "
    "24/48/96/128 channels, deep stem, output stride 16",
    "picturebook-vgg": "four blocks of convolution, batch normalisation, ReLU and maximum "
    "pooling, 16/32/64/96 channels, then two linear layers",
    "picturebook-vit": "timm VisionTransformer, convolutional stem, 64 tokens, four blocks of "
    "width 96, mean of the tokens",
    "picturebook-sl-resnet": "SigLIP; four residual blocks and a two-convolution stem down to "
    "8x8 positions, average and maximum pooling",
    "picturebook-sl-convvit": "SigLIP; two residual blocks and a two-convolution stem, then a "
    "timm VisionTransformer with 64 tokens, two blocks of width 128 and attention pooling",
    "picturebook-clip": "CLIP; open_clip's ModifiedResNet of width 12, one bottleneck in each "
    "layer, attention pooling",
}

_COMMON = ("name", "architecture", "seed", "parameters", "bytes", "samples", "minutes")

_INTRODUCTION = """\
# Weights of the Picturebook

Made by `python -m le_bench_plugins.picturebook.training.{{tokenizer,targets,encoders,card}}` on one
CPU core each. All numbers are float16 in safetensors files. Beside each `NAME.safetensors` lie
`NAME.json` (seed, samples, seconds, versions, measured quality) and `NAME.log.json` (the course of
the training). Generator of the pictures: digest `{digest}`.

## Data

Pictures of the Picturebook world with seed 0, by index:

| use | indices |
|---|---|
| probe dataset (nothing here was trained on it) | 0 to 9,999 |
| training of the encoders | {encoder_training} |
| training of the targets | {target_training} |
| held out, encoders | {encoder_held_out} |
| fit of a and b | {calibration} |
| held out, targets | {target_held_out} |

Each picture is mirrored by chance and shifted by up to 2 pixels.
"""

_ENCODER_TRAINING = """\
The three share the form of their text tower: open_clip's causal transformer, two layers of width
96, {num_tokens} tokens, embeddings of width 96. `merges.txt.gz` holds its byte-pair merges: every
word of the captions is one token, any other word falls into pieces.

The texts are chosen at training time: each concept by its bare name or in a template ("a photo of
..."), phrases of two or three concepts, rarer concepts more often, captions of the world's grammar,
and names of things that the world does not have. The losses are open_clip's `SigLipLoss` and
`ClipLoss`, with one difference: whether a text is true of another picture of the batch is read off
the ground truth. For the SigLIPs, a concept or phrase that is true of several pictures is positive
for all of them; a caption that may be true of another picture than its own does not count there.
For the CLIP, pairs off the diagonal that are or may be true are left out of the softmax.

**The encoders are therefore not zero-shot**: they learned the very names of the {num_concepts}
concepts from ground truth, though on other pictures. The two SigLIPs saw equally many samples.
"""

_CAPTIONER = """\
## Captioner

`{name}` is the small MILAN that the explainer `milan-picturebook` reads: {parameters:,} parameters,
{bytes:,} bytes, seed {seed}, {tokens} tokens, trained in {minutes:.1f} minutes. To make it again:

    python -m le_bench_plugins.picturebook.training.unit_annotations UNITS
    python -m le_bench_plugins.explainers.milan.training.train UNITS \\
        --backbone-weights UNITS/backbone.safetensors --output {name}.safetensors

It looks at exemplars with the maps of `{backbone}` before pooling, which are copied into
the file and do not change: not a target, so that no network describes itself, and not the encoder
that simulates. It learned from {units:,} imagined units ({annotations:,} annotations), so that no
unit of a target leaks into it. Each responds to a concept, to an object with a quality or in a
scene, or to either of two concepts; its exemplars are 15 pictures that show this, of which up to a
third are strays; masks are made from the ground truth, seen at 4x4, 8x8 or 16x16 positions with
noise and cut at some level; annotations are phrases in the words of the caption grammar.

| use | pictures |
|---|---|
| training of the captioner | {training} |
| held out, captioner | {held_out} |

Corpus BLEU (sacrebleu, in [0, 100], against three annotations a unit) on imagined units over
held-out pictures; "known" are drawn like the training units, "new" respond to pairs of concepts
that were never trained on. "Others" is the floor: the reranked texts against another unit's
annotations.

{table}
BLEU counts runs of up to four words, and most annotations have fewer: it rests on the longer ones.
Imagined units are cleaner than real ones, so expect less of real ones.

"""

_LIMITS = """\
## Intended use and limits

For the default experiment of the benchmark, its tests and its documentation: small models that can
be explained and small encoders that explain or simulate, without a download. They know nothing but
64x64 pictures of this world. The encoders share the generator, the captions and the training
pictures, hence their errors may be correlated. One seed each; another seed gives other numbers.
None of the three tells the textures apart well, and `picturebook-sl-convvit` and `picturebook-clip`
are weak on colors: see the table. The minutes are wall time on a machine shared with other work.
Words outside the grammar have no meaning to the encoders beyond "probably not there"; the words
of `absent.ABSENT` were not among the training texts.
"""


def write_card(directory: Path) -> str:
    """Return the card in Markdown for the JSON files in the directory."""
    targets = [_read(directory, name) for name in TARGETS]
    encoders = [_read(directory, name) for name in ENCODERS]
    introduction = _INTRODUCTION.format(
        digest=encoders[0]["generator_digest"][:16],
        encoder_training=_range(encoders[0]["training_pictures"]),
        target_training=_range(targets[0]["training_pictures"]),
        encoder_held_out=_range(encoders[0]["held_out_pictures"]),
        target_held_out=_range(targets[0]["held_out_pictures"]),
        calibration=_range(encoders[0]["calibration_pictures"]),
    )
    entropy, prevalence = encoders[0]["marginal_entropy"], encoders[0]["mean_prevalence"]
    return "\n".join(
        [
            introduction,
            f"## Targets: {len(CLASSES)} classes of the main object\n",
            _table(
                [*_COMMON, "accuracy"],
                [[*_common(quality), f"{quality['accuracy']:.4f}"] for quality in targets],
            ),
            "\n## Encoders\n",
            _table(
                _COMMON,
                [_common(quality) for quality in encoders],
            ),
            "\nMean average precision on the held-out pictures with bare names as texts, over all "
            f"concepts and by category (chance: {prevalence:.3f}), and the binary cross-entropy of "
            "sigmoid(a (cosine + b)) with one a and b for all concepts, in nats (prevalences "
            f"alone: {entropy:.3f}):\n",
            _quality_table(encoders),
            '\nThe same for other texts; "absent" is the mean calibrated probability of the words '
            "of `absent.ABSENT`, which name things that no picture shows:\n",
            _prompt_table(encoders),
            "",
            _ENCODER_TRAINING.format(num_tokens=read_num_tokens(), num_concepts=len(CONCEPTS)),
            _captioner(_read(directory, CAPTIONER)),
            _LIMITS,
        ]
    )


def _captioner(quality: Quality) -> str:
    """Return the section on the captioner."""
    ways = ("greedy", "beam", "rerank", "others")
    made = quality["made_from"]
    rows = [
        [layer, str(found["units"]), *(f"{found[way]:.1f}" for way in ways)]
        for layer, found in quality["bleu"].items()
    ]
    return _CAPTIONER.format(
        **quality,
        minutes=quality["seconds"] / 60,
        backbone=made["backbone"],
        training=_range(made["training_pictures"]),
        held_out=_range(made["held_out_pictures"]),
        table=_table(["units", "number", *ways], rows) + "\n",
    )


def _read(directory: Path, name: str) -> Quality:
    quality: Quality = json.loads((directory / f"{name}.json").read_text())
    return quality


def _range(start_and_count: Sequence[int]) -> str:
    start, count = start_and_count
    return f"{start:,} to {start + count - 1:,}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _common(quality: Quality) -> list[str]:
    return [
        f"`{quality['name']}`",
        _ARCHITECTURES[quality["name"]],
        str(quality["seed"]),
        f"{quality['parameters']:,}",
        f"{quality['bytes']:,}",
        f"{quality['samples_seen']:,}",
        f"{quality['seconds'] / 60:.1f}",
    ]


def _quality_table(encoders: Sequence[Quality]) -> str:
    categories = list(encoders[0]["prompts"]["bare"]["mean_average_precision"])
    rows = []
    for quality in encoders:
        bare = quality["prompts"]["bare"]
        precisions = [f"{bare['mean_average_precision'][name]:.3f}" for name in categories]
        fitted = [f"{bare[key]:.3f}" for key in ("cross_entropy", "a", "b")]
        rows.append([f"`{quality['name']}`", *precisions, *fitted])
    return _table(["name", *categories, "cross-entropy", "a", "b"], rows)


def _prompt_table(encoders: Sequence[Quality]) -> str:
    rows = [
        [
            f"`{quality['name']}`",
            prompt,
            f"{measured['mean_average_precision']['all']:.3f}",
            f"{measured['cross_entropy']:.3f}",
            f"{measured['absent_probability']:.4f}",
            ", ".join(f"{name} {value:.2f}" for name, value in measured["weakest"].items()),
        ]
        for quality in encoders
        for prompt, measured in quality["prompts"].items()
    ]
    return _table(["name", "texts", "all", "cross-entropy", "absent", "weakest concepts"], rows)


def main() -> None:
    """Write README.md beside the weights."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--directory", type=Path, default=WEIGHTS_DIRECTORY)
    directory: Path = parser.parse_args().directory
    (directory / "README.md").write_text(write_card(directory))


if __name__ == "__main__":
    main()
