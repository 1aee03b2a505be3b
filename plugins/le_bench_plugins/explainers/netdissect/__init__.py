"""Network Dissection: the label whose pixels a unit's highest activations cover best."""
