"""Computing the steps of a plan, keeping their values, and writing the records."""
