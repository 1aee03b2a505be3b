"""Words for things that the world does not have, as texts that are false of every picture."""

from __future__ import annotations

import numpy as np

from le_bench_plugins.picturebook.captions import WORDS

# None of these is in `absent.ABSENT`: with that list one can measure what the encoders make of
# words that they have never read.
_NOUNS: tuple[str, ...] = (
    "actor", "acorn", "alley", "almond", "alarm", "ankle", "apple", "arrow", "artist", "atlas",
    "badge", "bagel", "baker", "banana", "bank", "barrel", "bear", "beaver", "bed", "belt",
    "bench", "berry", "bishop", "blanket", "bolt", "bone", "book", "boot", "bowl", "box",
    "bracelet", "bread", "broom", "brush", "bulldozer", "button", "cable", "cage", "cake", "calf",
    "canal", "candy", "cannon", "carpet", "cello", "chain", "chalk", "cherry", "chess", "chicken",
    "chocolate", "cigar", "clarinet", "coat", "cobra", "coconut", "coffee", "coin", "collar",
    "comb", "cork", "corn", "couch", "crab", "cradle", "crane", "cricket", "curtain", "cushion",
    "dagger", "dentist", "dice", "dinosaur", "doctor", "dog", "doll", "donkey", "dragon",
    "drawer", "dress", "drill", "egg", "elbow", "elevator", "engine", "eraser", "farmer",
    "fiddle", "finger", "flute", "folder", "fork", "fox", "garage", "garlic", "ghost", "glove",
    "goat", "gorilla", "grape", "grill", "gun", "hamster", "hand", "hat", "heart", "heel",
    "hippo", "hockey", "honey", "hook", "jacket", "jar", "jewel", "juice", "kangaroo", "kettle",
    "key", "kitchen", "kiwi", "knee", "knife", "koala", "lamb", "lemon", "lettuce", "library",
    "lip", "lizard", "lobster", "lock", "magnet", "mango", "map", "mask", "melon", "microphone",
    "mirror", "mole", "mop", "mosquito", "motorcycle", "mouse", "nail", "napkin", "nest",
    "newspaper", "nurse", "oar", "office", "onion", "paddle", "pan", "panda", "peach", "pear",
    "pencil", "pepper", "phone", "pig", "pillow", "pilot", "pipe", "pirate", "plate", "plug",
    "police", "potato", "printer", "puppet", "purse", "puzzle", "racket", "radio", "rake", "rat",
    "razor", "rice", "ring", "robot", "rug", "sailor", "salad", "sandwich", "saw", "scarf",
    "screen", "seal", "shelf", "shirt", "shoulder", "shovel", "shower", "shrimp", "sink", "skirt",
    "skull", "sled", "snail", "soap", "soccer", "sock", "soldier", "soup", "spade", "squirrel",
    "stairs", "stamp", "stove", "sweater", "sword", "syringe", "table", "tank", "teapot",
    "tennis", "thumb", "toast", "toilet", "tomato", "tongue", "tooth", "towel", "tractor",
    "trophy", "trousers", "tunnel", "typewriter", "vase", "volcano", "walrus", "wardrobe",
    "watch", "wheelchair", "whistle", "wine", "wolf", "worm", "wrench", "yoga",
)  # fmt: skip

_ONSETS = ("b", "br", "c", "ch", "d", "f", "g", "h", "k", "l", "m", "n", "p", "r", "s", "st", "t")
_VOWELS = ("a", "e", "i", "o", "u", "ee", "oo", "ai")
_ENDINGS = ("", "n", "r", "t", "ck", "ll", "s", "mp")


def draw_absent_names(stream: np.random.Generator, count: int) -> list[str]:
    """Return nouns for absent things and, in a third, invented words such as "chootair"."""
    known = set(WORDS)
    names: list[str] = []
    while len(names) < count:
        if stream.random() < 1 / 3:
            syllables = int(stream.integers(1, 4))
            name = "".join(_syllable(stream) for _ in range(syllables))
        else:
            name = _NOUNS[stream.integers(len(_NOUNS))]
        if name not in known and name not in names:
            names.append(name)
    return names


def _syllable(stream: np.random.Generator) -> str:
    """Return an onset, a vowel and sometimes an ending."""
    parts = [choices[stream.integers(len(choices))] for choices in (_ONSETS, _VOWELS, _ENDINGS)]
    return "".join(parts)
