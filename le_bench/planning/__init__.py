"""From an experiment file to a plan of steps; nothing is loaded or computed here."""
