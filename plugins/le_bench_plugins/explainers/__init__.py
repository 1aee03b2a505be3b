"""Explainers: from activations to words."""
