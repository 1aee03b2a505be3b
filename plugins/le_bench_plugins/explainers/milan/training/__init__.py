"""Training of captioners on annotated exemplars: `python -m ...milan.training.train --help`."""
