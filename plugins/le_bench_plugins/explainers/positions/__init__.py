"""What explainers that look at maps share: statistics over all positions of a layer."""
