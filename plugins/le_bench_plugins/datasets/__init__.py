"""Sources of probe datasets."""
