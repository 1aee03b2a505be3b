"""Data sets in the format of Broden: images with label maps in several categories."""
