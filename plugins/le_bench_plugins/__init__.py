"""le_bench's own plugins; each enters by the same door as a stranger's."""
