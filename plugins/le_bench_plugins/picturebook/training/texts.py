"""The texts of one training batch, and of which of its pictures each text is true."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from le_bench_plugins.picturebook.concepts import CONCEPTS
from le_bench_plugins.picturebook.training.negatives import draw_absent_names
from le_bench_plugins.picturebook.training.pool import Pool

Truth = npt.NDArray[np.int8]
Presence = npt.NDArray[np.bool_]

NUM_PHRASES = 48
NUM_ABSENT = 16
NUM_CAPTIONS = 64

TEMPLATES = ("{}", "a photo of {}", "a picture of {}", "a picture with {}")
_TEMPLATE_CHANCES = (0.55, 0.25, 0.1, 0.1)
TEMPLATE_WORDS: tuple[str, ...] = ("a", "photo", "picture", "of", "with", "and")

_CONCEPT_COLUMNS = {concept.name: column for column, concept in enumerate(CONCEPTS)}
_CONCEPT_COLUMNS["eyes"] = _CONCEPT_COLUMNS["eye"]
_WORD = re.compile(r"[a-z]+")


@dataclass(frozen=True, slots=True, eq=False)
class TextBatch:
    """Texts and their truth.

    truth: (B, T) float32; 1 where a text is true of a picture, -1 where it is false, 0 where it
    is not known and the pair must not count.
    """

    texts: list[str]
    truth: Tensor


def mentioned_concepts(text: str) -> list[int]:
    """Return the columns of `CONCEPTS` whose names are words of the text."""
    words = _WORD.findall(text.lower())
    return [_CONCEPT_COLUMNS[word] for word in words if word in _CONCEPT_COLUMNS]


class TextSampler:
    """Draws captions and concept phrases for the pictures of a pool."""

    def __init__(self, pool: Pool, seed: int) -> None:
        """Read the prevalence of the concepts: rarer concepts are drawn more often."""
        self._pool = pool
        self._stream = np.random.default_rng(seed)
        prevalence = pool.presence.mean(axis=0).clip(1e-3, None)
        self._rarity = prevalence**-0.75

    def draw_batch(self, rows: npt.NDArray[np.int64]) -> TextBatch:
        """Return texts for the sigmoid loss and the pictures in the given rows, (B,).

        The texts are each concept once, phrases of two or three concepts, names of things that
        are in no picture, and last `NUM_CAPTIONS` captions, each of another picture.
        """
        presence = self._pool.presence[rows]
        concepts = [self._template(concept.name) for concept in CONCEPTS]
        phrases, phrase_truth = self._phrases(presence, NUM_PHRASES)
        owners = self._stream.permutation(len(rows))[:NUM_CAPTIONS]
        captions = [self._caption(row) for row in rows[owners].tolist()]
        truths = [
            _signs(presence),
            phrase_truth,
            np.full((len(rows), NUM_ABSENT), -1, dtype=np.int8),
            _caption_truth(captions, owners, presence),
        ]
        return TextBatch(
            texts=[*concepts, *phrases, *self._absent(), *captions],
            truth=torch.from_numpy(np.concatenate(truths, axis=1)).float(),
        )

    def draw_pairs(self, rows: npt.NDArray[np.int64], kind: str) -> TextBatch:
        """Return a text for each picture, for the softmax loss, and then names of absent things.

        kind: "concept", "phrase" or "caption". truth: (B, B + NUM_ABSENT), with 1 on the
        diagonal, -1 where a text is false of a picture and 0 where it is or may be true of
        another picture than its own.
        """
        presence = self._pool.presence[rows]
        if kind == "caption":
            texts = [self._caption(row) for row in rows.tolist()]
            truth = _caption_truth(texts, np.arange(len(rows)), presence)
        else:
            sizes = [1 if kind == "concept" else self._phrase_size() for _ in rows]
            members = [
                self._present_concepts(shown, size)
                for shown, size in zip(presence, sizes, strict=True)
            ]
            texts = [self._template(_join(columns)) for columns in members]
            truth = np.minimum(_signs(_all_present(presence, members)), 0)
            np.fill_diagonal(truth, 1)
        absent_truth = np.full((len(rows), NUM_ABSENT), -1, dtype=np.int8)
        return TextBatch(
            texts=[*texts, *self._absent()],
            truth=torch.from_numpy(np.concatenate([truth, absent_truth], axis=1)).float(),
        )

    def draw_kind(self) -> str:
        """Return a kind of text for `draw_pairs`, single concepts and phrases more often."""
        return str(self._stream.choice(["concept", "phrase", "caption"], p=[0.4, 0.3, 0.3]))

    def _absent(self) -> list[str]:
        return [self._template(name) for name in draw_absent_names(self._stream, NUM_ABSENT)]

    def _caption(self, row: int) -> str:
        choices = self._pool.captions[row]
        return choices[self._stream.integers(len(choices))]

    def _template(self, name: str) -> str:
        return TEMPLATES[self._stream.choice(len(TEMPLATES), p=_TEMPLATE_CHANCES)].format(name)

    def _phrase_size(self) -> int:
        return int(self._stream.integers(2, 4))

    def _present_concepts(self, shown: npt.NDArray[np.bool_], size: int) -> list[int]:
        """Return `size` different concepts of one picture, (C,), rarer ones more likely."""
        # The largest of weight-scaled exponential draws are a weighted sample without replacement
        # (Efraimidis and Spirakis 2006); Generator.choice is ten times as slow.
        keys = np.where(shown, self._rarity / self._stream.exponential(size=len(shown)), -1.0)
        best = np.argpartition(-keys, size)[:size]
        chosen: list[int] = best[keys[best] > 0].tolist()
        return chosen

    def _phrases(self, presence: Presence, count: int) -> tuple[list[str], Truth]:
        """Return phrases and their truth (B, count); in a third, one concept is exchanged."""
        members: list[list[int]] = []
        for _ in range(count):
            shown = presence[self._stream.integers(len(presence))]
            columns = self._present_concepts(shown, self._phrase_size())
            if self._stream.random() < 1 / 3:
                columns[-1] = int(self._stream.integers(len(CONCEPTS)))
            members.append(list(dict.fromkeys(columns)))
        texts = [self._template(_join(columns)) for columns in members]
        return texts, _signs(_all_present(presence, members))


def _join(columns: Sequence[int]) -> str:
    """Return the names of the concepts as a list in words."""
    names = [CONCEPTS[column].name for column in columns]
    return " and ".join(names)


def _signs(truth: Presence) -> Truth:
    """Return 1 for true and -1 for false."""
    return np.where(truth, 1, -1).astype(np.int8)


def _all_present(presence: Presence, members: Sequence[Sequence[int]]) -> Presence:
    """Return whether a picture shows all concepts of a text, (B, T), for presence (B, C)."""
    wanted = np.zeros((len(members), presence.shape[1]), dtype=np.float32)
    for row, columns in enumerate(members):
        wanted[row, columns] = 1.0
    missing: Presence = (~presence).astype(np.float32) @ wanted.T > 0.5
    return ~missing


def _caption_truth(
    captions: Sequence[str], owners: npt.NDArray[np.int64], presence: Presence
) -> Truth:
    """Return the truth (B, T) of captions; caption t was written for picture owners[t].

    A caption is false of a picture that lacks a concept which the caption mentions. It may be
    true of a picture that shows them all: unknown, as the concepts may belong to other things.
    """
    members = [mentioned_concepts(caption) for caption in captions]
    truth = np.where(_all_present(presence, members), 0, -1).astype(np.int8)
    truth[owners, np.arange(len(captions))] = 1
    return truth
