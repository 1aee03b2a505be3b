"""Sources of target models."""
