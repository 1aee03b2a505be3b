"""What `le-bench new` makes projects from: one whole plugin of each kind, and the files around it.

The modules are plugins as they stand; only their names are replaced.
"""
