"""Scorers that compare a unit's simulation with its activations on the test images alone."""
