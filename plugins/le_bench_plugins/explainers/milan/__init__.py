"""MILAN: a sentence for each unit, written by a network that looks at its exemplars."""
