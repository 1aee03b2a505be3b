"""Concept sets that ship with the package, and what they are made from."""
