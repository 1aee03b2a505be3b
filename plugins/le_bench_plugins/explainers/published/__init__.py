"""Descriptions that others published, as an explainer."""
