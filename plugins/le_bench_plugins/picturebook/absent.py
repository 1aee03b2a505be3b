"""Things that the Picturebook does not have: words that a concept filter ought to drop."""

ABSENT: tuple[str, ...] = (
    "accordion", "anchor", "apron", "banjo", "bathtub", "bicycle", "blender", "bookcase",
    "bottle", "bridge", "bucket", "cabbage", "camera", "candle", "carrot", "chair", "cheese",
    "clock", "compass", "computer", "cow", "crocodile", "desk", "dolphin", "drum", "elephant",
    "envelope", "fountain", "frog", "giraffe", "guitar", "hammer", "harp", "helicopter", "horse",
    "keyboard", "ladder", "laptop", "lion", "monkey", "necklace", "octopus", "oven", "penguin",
    "piano", "pizza", "pumpkin", "rabbit", "refrigerator", "ruler", "saxophone", "scissors",
    "sheep", "shoe", "skateboard", "snake", "sofa", "spider", "spoon", "strawberry", "telephone",
    "television", "toothbrush", "trumpet", "turtle", "violin", "whale", "zebra",
)  # fmt: skip
