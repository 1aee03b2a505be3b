"""Ablation scoring: what a target model loses when a unit is replaced by its simulation."""
