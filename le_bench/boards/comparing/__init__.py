"""Results side by side, and a run against an earlier one; reads records alone."""
